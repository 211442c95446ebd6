package graph

import (
	"bytes"
	"encoding/json"
	"math"
	"mime"
	"net/http"
	"strconv"
	"strings"
	"sync"

	"github.com/99designs/gqlgen/graphql"
	"github.com/vektah/gqlparser/v2/gqlerror"
)

// The media types that the edge reads and writes.
const (
	typeJSON      = "application/json"
	typeGraphQL   = "application/graphql-response+json"
	typeStream    = "text/event-stream"
	typeForm      = "application/x-www-form-urlencoded"
	typeMultipart = "multipart/form-data"
)

// accepted is what a client can read, by its Accept header.
type accepted struct {
	graphql bool // prefers application/graphql-response+json to application/json
	stream  bool // can read an event stream
	only    bool // prefers an event stream to both
	nothing bool // can read none of them
}

// negotiate reads an Accept header (RFC 9110 §12.5.1). Among equals the first
// one listed wins; a wildcard, or no header, means application/json.
func negotiate(header string) accepted {
	switch header { // what nearly all clients send
	case "", "*/*", typeJSON:
		return accepted{}
	case typeGraphQL:
		return accepted{graphql: true}
	case typeStream:
		return accepted{stream: true, only: true}
	}
	var a accepted
	best := 0.0
	for item := range strings.SplitSeq(header, ",") {
		typ, params, err := mime.ParseMediaType(item)
		if err != nil {
			continue
		}
		q := 1.0
		if s, ok := params["q"]; ok {
			if q, err = strconv.ParseFloat(s, 64); err != nil {
				q = 0
			}
		}
		switch typ {
		case typeStream:
			a.stream = a.stream || q > 0
		case typeGraphQL, typeJSON, "application/*", "*/*":
		default:
			continue
		}
		if q > best {
			best = q
			a.graphql, a.only = typ == typeGraphQL, typ == typeStream
		}
	}
	a.nothing = best == 0
	return a
}

// answer is a response that is ready to be written.
type answer struct {
	status int
	*graphql.Response
}

// answerTo gives a response the status that GraphQL over HTTP asks for. With
// application/json a request that could be read is answered 200, whatever the
// document's faults; refusals by who asks or how often keep their own status,
// because proxies and clients act on it.
func answerTo(resp *graphql.Response, a accepted) answer {
	if resp.Data != nil || len(resp.Errors) == 0 {
		return answer{http.StatusOK, resp}
	}
	status := http.StatusBadRequest
	if !a.graphql {
		status = http.StatusOK
	}
	switch resp.Errors[0].Extensions["code"] {
	case codeUnauthenticated:
		status = http.StatusUnauthorized
	case codeForbidden:
		status = http.StatusForbidden
	case codeRateLimited:
		status = http.StatusTooManyRequests
	case codeUnavailable:
		status = http.StatusServiceUnavailable
	case codeInternal:
		status = http.StatusInternalServerError
	}
	return answer{status, resp}
}

// refused is a response that holds errors only.
func refused(errs ...*gqlerror.Error) *graphql.Response {
	return &graphql.Response{Errors: errs}
}

// Header values that are shared by all responses.
var (
	headerJSON    = []string{typeJSON + "; charset=utf-8"}
	headerGraphQL = []string{typeGraphQL + "; charset=utf-8"}
)

// buffers are reused from one response to the next.
var buffers = sync.Pool{New: func() any { return new(bytes.Buffer) }}

// maxBuffer is the largest buffer that goes back to the pool.
const maxBuffer = 64 << 10

func release(b *bytes.Buffer) {
	if b.Cap() <= maxBuffer {
		b.Reset()
		buffers.Put(b)
	}
}

// write sends an answer.
func write(w http.ResponseWriter, a accepted, ans answer) {
	b := buffers.Get().(*bytes.Buffer)
	defer release(b)
	encode(b, ans.Response)
	h := w.Header()
	h["Content-Type"] = headerJSON
	if a.graphql {
		h["Content-Type"] = headerGraphQL
	}
	h["Content-Length"] = []string{strconv.Itoa(b.Len())}
	retryAfter(h, ans.Errors)
	w.WriteHeader(ans.status)
	_, _ = w.Write(b.Bytes()) // nobody is left to tell
}

// retryAfter repeats in the header, in whole seconds, how long to wait.
func retryAfter(h http.Header, errs gqlerror.List) {
	if len(errs) == 0 {
		return
	}
	if ms, ok := errs[0].Extensions["retryAfterMs"].(int64); ok {
		h.Set("Retry-After", strconv.Itoa(int(math.Ceil(float64(ms)/1000))))
	}
}

// encode writes a response as JSON. The data are JSON already: encoding/json
// would read and copy them once more.
func encode(b *bytes.Buffer, resp *graphql.Response) {
	b.WriteByte('{')
	if len(resp.Errors) > 0 {
		member(b, "errors", resp.Errors)
	}
	if resp.Data != nil {
		comma(b)
		b.WriteString(`"data":`)
		b.Write(resp.Data)
	}
	if len(resp.Extensions) > 0 {
		member(b, "extensions", resp.Extensions)
	}
	b.WriteByte('}')
}

func member(b *bytes.Buffer, name string, v any) {
	data, err := json.Marshal(v)
	if err != nil {
		data = []byte("null") // an extension that cannot be JSON
	}
	comma(b)
	b.WriteByte('"')
	b.WriteString(name)
	b.WriteString(`":`)
	b.Write(data)
}

// comma separates members: all but the first follow something.
func comma(b *bytes.Buffer) {
	if last := b.Bytes()[b.Len()-1]; last != '{' {
		b.WriteByte(',')
	}
}
