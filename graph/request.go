package graph

import (
	"encoding/json"
	"mime"
	"net/http"
	"net/url"
	"strings"

	"github.com/vektah/gqlparser/v2/gqlerror"
)

// request is one GraphQL request, however it came.
type request struct {
	query         string
	operationName string
	variables     map[string]any
	extensions    map[string]any
	documentID    string // of a trusted document
	hash          string // SHA-256 of an automatically persisted one
	headers       http.Header
}

// decodeRequest reads a request from JSON. GraphQL over HTTP names the
// parameters; a trusted document is named by documentId, or as Relay does by id
// or doc_id. What else is there is ignored.
func decodeRequest(data []byte) (*request, *gqlerror.Error) {
	v, err := readJSON(data)
	if err != nil {
		return nil, fault(codeValidation, "The request cannot be read: "+err.Error()+".")
	}
	object, ok := v.(map[string]any)
	if _, batch := v.([]any); batch {
		return nil, fault(codeValidation, "Batches are not served: send one operation in a request.")
	}
	if !ok {
		return nil, fault(codeValidation, "The body of a request is a JSON object.")
	}
	var req request
	for name, v := range object {
		var ok bool
		switch name {
		case "query":
			ok = set(&req.query, v)
		case "operationName":
			ok = set(&req.operationName, v)
		case "variables":
			ok = set(&req.variables, v)
		case "extensions":
			ok = set(&req.extensions, v)
		case "documentId", "id", "doc_id":
			ok = set(&req.documentID, v)
		default:
			ok = true
		}
		if !ok {
			return nil, fault(codeValidation, "The parameter "+name+" is of the wrong type.")
		}
	}
	return &req, req.check()
}

// set takes a parameter of the right type, or null, which is none.
func set[T any](into *T, v any) bool {
	if v == nil {
		return true
	}
	value, ok := v.(T)
	if ok {
		*into = value
	}
	return ok
}

// check reads the hash, and refuses a request that names no document at all.
func (r *request) check() *gqlerror.Error {
	if bad := r.readHash(); bad != nil {
		return bad
	}
	if r.query == "" && r.documentID == "" && r.hash == "" {
		return fault(codeValidation, "The request names no document: query is missing.")
	}
	return nil
}

// readHash reads the persistedQuery extension: {"version": 1, "sha256Hash": …}.
func (r *request) readHash() *gqlerror.Error {
	v, present := r.extensions["persistedQuery"]
	if !present {
		return nil
	}
	bad := fault(codeValidation, "The extension persistedQuery is version 1 with a sha256Hash of 64 lower-case hexadecimal digits.")
	ext, ok := v.(map[string]any)
	hash, isText := ext["sha256Hash"].(string)
	if !ok || !isText || ext["version"] != json.Number("1") || len(hash) != 64 || strings.Trim(hash, "0123456789abcdef") != "" {
		return bad
	}
	r.hash = hash
	return nil
}

// formRequest reads a request from the parameters of a URL or a form, where
// variables and extensions are JSON in text.
func formRequest(form url.Values) (*request, *gqlerror.Error) {
	req := &request{
		query:         form.Get("query"),
		operationName: form.Get("operationName"),
		documentID:    form.Get("documentId") + form.Get("id") + form.Get("doc_id"),
	}
	for name, into := range map[string]*map[string]any{"variables": &req.variables, "extensions": &req.extensions} {
		if form.Get(name) == "" {
			continue
		}
		v, err := readJSON([]byte(form.Get(name)))
		if err != nil || !set(into, v) {
			return nil, fault(codeValidation, "The parameter "+name+" is not a JSON object.")
		}
	}
	return req, req.check()
}

// mediaType is the type of a request's body, in lower case; other charsets than
// UTF-8 make it unknown.
func mediaType(r *http.Request) string {
	header := r.Header.Get("Content-Type")
	if header == typeJSON { // most requests
		return header
	}
	typ, params, err := mime.ParseMediaType(header)
	if err != nil {
		return ""
	}
	if charset := params["charset"]; charset != "" && !strings.EqualFold(charset, "utf-8") {
		return ""
	}
	return typ
}
