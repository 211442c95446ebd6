package graph

import "github.com/soukhq/souk/graph/model"

func operationErrors(err error) ([]model.OperationUserError, error) {
	return userErrors(err, func(r refusal[model.OperationErrorCode]) model.OperationUserError { return model.OperationUserError(r) })
}
