package audit

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/soukhq/souk/internal/base/store"
)

// Record writes an entry in the transaction of ctx.
func Record(ctx context.Context, db *store.DB, e Entry) error {
	create := db.Client(ctx).AuditEntry.Create().
		SetMode(e.By.Mode).SetActor(e.By.Kind.String() + ":" + e.By.Subject).SetIssuer(e.By.Issuer).SetAction(e.Action).SetSubjectID(e.SubjectID).SetCreatedAt(e.At)
	if e.Detail != nil {
		detail, err := json.Marshal(e.Detail)
		if err != nil {
			return fmt.Errorf("audit %s: %w", e.Action, err)
		}
		create.SetDetail(detail)
	}
	if err := create.Exec(ctx); err != nil {
		return fmt.Errorf("audit %s: %w", e.Action, err)
	}
	return nil
}
