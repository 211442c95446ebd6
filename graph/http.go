package graph

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"io"
	"mime/multipart"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"github.com/99designs/gqlgen/graphql"
	"github.com/vektah/gqlparser/v2/ast"
	"github.com/vektah/gqlparser/v2/gqlerror"

	"github.com/soukhq/souk/internal/base/auth"
)

// ServeHTTP answers at the endpoint's path, and at /graphiql where the explorer
// is on.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	switch path := r.URL.Path; {
	case path == h.cfg.Path:
		h.serve(w, r)
	case h.explorer != nil && (path == "/graphiql" || strings.HasPrefix(path, "/graphiql/")):
		h.explorer.ServeHTTP(w, r)
	default:
		http.NotFound(w, r)
	}
}

// Headers that every answer carries.
var (
	headerNoSniff  = []string{"nosniff"}
	headerNoStore  = []string{"no-store"}
	headerReferrer = []string{"no-referrer"}
	headerPolicy   = []string{"default-src 'none'; frame-ancestors 'none'"}
	headerVary     = []string{"Origin, Accept"}
)

// serve is the way of every request to the endpoint.
func (h *Handler) serve(w http.ResponseWriter, r *http.Request) {
	s := h.newScope(r)
	ctx := withScope(r.Context(), s)
	header := w.Header()
	header["X-Request-Id"] = []string{s.id}
	header["X-Content-Type-Options"] = headerNoSniff
	header["Cache-Control"] = headerNoStore
	header["Referrer-Policy"] = headerReferrer
	header["Content-Security-Policy"] = headerPolicy
	header["Vary"] = headerVary
	defer h.recover(ctx, w)

	h.origins.answer(header, r)
	switch {
	case r.Header.Get("Upgrade") != "":
		h.serveSocket(ctx, w, r)
	case r.Method == http.MethodGet, r.Method == http.MethodPost:
		h.serveRequest(ctx, w, r)
	case r.Method == http.MethodOptions:
		header.Set("Allow", methods)
		w.WriteHeader(http.StatusNoContent)
	default:
		header.Set("Allow", methods)
		refuse405(w, "This method is not served.")
	}
}

const methods = "GET, POST, OPTIONS"

func refuse405(w http.ResponseWriter, message string) {
	write(w, accepted{}, answer{http.StatusMethodNotAllowed, refused(fault(codeValidation, message))})
}

// recover answers for a panic outside the resolvers.
func (h *Handler) recover(ctx context.Context, w http.ResponseWriter) {
	switch value := recover(); value {
	case nil:
	case http.ErrAbortHandler:
		panic(value)
	default:
		err := h.engine.present(ctx, recovered(ctx, value))
		write(w, accepted{}, answer{http.StatusInternalServerError, refused(err)})
	}
}

// serveRequest answers one request by HTTP, once or as an event stream.
func (h *Handler) serveRequest(ctx context.Context, w http.ResponseWriter, r *http.Request) {
	a := negotiate(r.Header.Get("Accept"))
	if a.nothing {
		write(w, a, answer{http.StatusNotAcceptable, refused(fault(codeValidation, "The answer is "+typeJSON+", "+typeGraphQL+" or "+typeStream+"."))})
		return
	}
	ctx, err := h.authenticate(ctx, r)
	if err != nil {
		h.refuseCaller(ctx, w, r, a, h.counted(ctx, err))
		return
	}
	req, status, bad := h.read(w, r)
	if bad != nil {
		if err := h.counted(ctx, nil); err != nil {
			write(w, a, answerTo(refused(h.engine.present(ctx, err)), a))
			return
		}
		write(w, a, answer{status, refused(bad)})
		return
	}
	op, faults := h.engine.prepare(ctx, req)
	switch {
	case faults == nil && r.Method == http.MethodGet && op.is(ast.Mutation):
		w.Header().Set("Allow", http.MethodPost)
		refuse405(w, "A mutation is sent by POST.")
	case a.only, faults == nil && a.stream && op.is(ast.Subscription):
		h.serveStream(ctx, w, op, faults)
	case faults != nil:
		write(w, a, answerTo(refused(faults...), a))
	case op.is(ast.Subscription):
		write(w, a, answer{http.StatusNotAcceptable, refused(fault(codeValidation, "A subscription needs a WebSocket, or Accept: "+typeStream+"."))})
	default:
		write(w, a, answerTo(h.engine.run(ctx, op), a))
	}
}

// authenticate puts the viewer into the context.
func (h *Handler) authenticate(ctx context.Context, r *http.Request) (context.Context, error) {
	if h.cfg.Verifier == nil {
		return ctx, nil
	}
	viewer, err := h.cfg.Verifier.VerifyRequest(ctx, r)
	if err != nil || viewer.Kind == auth.Anonymous {
		return ctx, err
	}
	return auth.NewContext(ctx, viewer), nil
}

// counted lets the gate count what comes to no operation, and gives its refusal
// in place of err if there are too many.
func (h *Handler) counted(ctx context.Context, err error) error {
	if h.cfg.Gate == nil {
		return err
	}
	return cmp.Or(h.cfg.Gate(ctx, 1), err)
}

// refuseCaller answers a request whose credentials are bad, with a challenge.
func (h *Handler) refuseCaller(ctx context.Context, w http.ResponseWriter, r *http.Request, a accepted, err error) {
	ans := answerTo(refused(h.engine.present(ctx, err)), a)
	if ans.status == http.StatusUnauthorized {
		w.Header().Set("WWW-Authenticate", auth.Challenge(r, err))
	}
	write(w, a, ans)
}

// read takes a request out of its URL or its body. The status is that of the
// answer when it cannot.
func (h *Handler) read(w http.ResponseWriter, r *http.Request) (*request, int, *gqlerror.Error) {
	req, status, bad := h.readAny(w, r)
	if bad == nil {
		req.headers = r.Header
	}
	return req, status, bad
}

func (h *Handler) readAny(w http.ResponseWriter, r *http.Request) (*request, int, *gqlerror.Error) {
	if r.Method == http.MethodGet {
		req, bad := formRequest(r.URL.Query())
		return req, http.StatusBadRequest, bad
	}
	switch typ := mediaType(r); {
	case r.Header.Get("Content-Encoding") != "":
		return nil, http.StatusUnsupportedMediaType, fault(codeValidation, "Send the request without a Content-Encoding.")
	case typ == typeJSON:
		return h.readBody(w, r, decodeRequest)
	case typ != typeForm && typ != typeMultipart:
		return nil, http.StatusUnsupportedMediaType, fault(codeValidation, "Send the request as "+typeJSON+" in UTF-8.")
	case !preflighted(r):
		return nil, http.StatusBadRequest, fault(codeValidation, "A form needs the header "+preflightHeaders[0]+", so that no web page of another origin can send it unasked.")
	case typ == typeForm:
		return h.readBody(w, r, decodeForm)
	default:
		return h.readMultipart(w, r)
	}
}

// preflightHeaders make a browser ask first (CORS preflight) before it sends a
// form from a page of another origin.
var preflightHeaders = []string{"GraphQL-Preflight", "X-Souk-Preflight", "Apollo-Require-Preflight", "X-Apollo-Operation-Name"}

func preflighted(r *http.Request) bool {
	for _, name := range preflightHeaders {
		if r.Header.Get(name) != "" {
			return true
		}
	}
	return false
}

func (h *Handler) readBody(w http.ResponseWriter, r *http.Request, decode func([]byte) (*request, *gqlerror.Error)) (*request, int, *gqlerror.Error) {
	b := buffers.Get().(*bytes.Buffer)
	defer release(b)
	if _, err := b.ReadFrom(http.MaxBytesReader(w, r.Body, h.cfg.Limits.BodyBytes)); err != nil {
		return h.unread(err)
	}
	req, bad := decode(b.Bytes())
	return req, http.StatusBadRequest, bad
}

// unread says why a body could not be read.
func (h *Handler) unread(err error) (*request, int, *gqlerror.Error) {
	if _, tooLarge := errors.AsType[*http.MaxBytesError](err); tooLarge {
		return nil, http.StatusRequestEntityTooLarge, fault(codeValidation, "The request is larger than "+strconv.FormatInt(h.cfg.Limits.BodyBytes, 10)+" bytes.")
	}
	return nil, http.StatusBadRequest, fault(codeValidation, "The body could not be read.")
}

func decodeForm(data []byte) (*request, *gqlerror.Error) {
	form, err := url.ParseQuery(string(data))
	if err != nil {
		return nil, fault(codeValidation, "The form is not well-formed.")
	}
	return formRequest(form)
}

// readMultipart reads a form with files: "operations" is the request as JSON,
// "map" names for each file the variables that it stands for, and the files
// follow. All of it counts towards the size of a request.
func (h *Handler) readMultipart(w http.ResponseWriter, r *http.Request) (*request, int, *gqlerror.Error) {
	r.Body = http.MaxBytesReader(w, r.Body, h.cfg.Limits.BodyBytes)
	parts, err := r.MultipartReader()
	if err != nil {
		return h.unread(err)
	}
	operations, err := nextPart(parts, "operations")
	if err != nil {
		return h.unread(err)
	}
	req, bad := decodeRequest(operations)
	if bad != nil {
		return nil, http.StatusBadRequest, bad
	}
	places, err := nextPart(parts, "map")
	if err != nil {
		return h.unread(err)
	}
	var paths map[string][]string
	if err := json.Unmarshal(places, &paths); err != nil {
		return nil, http.StatusBadRequest, fault(codeValidation, "The part map is a JSON object of lists of paths.")
	}
	if err := readFiles(parts, req, paths); err != nil {
		return h.unread(err)
	}
	return req, 0, nil
}

// nextPart reads the next part, which must have this name.
func nextPart(parts *multipart.Reader, name string) ([]byte, error) {
	part, err := parts.NextPart()
	if err != nil {
		return nil, err
	}
	if part.FormName() != name {
		return nil, errors.New("the part " + name + " is missing")
	}
	return io.ReadAll(part)
}

// readFiles puts the files into the variables that stand for them.
func readFiles(parts *multipart.Reader, req *request, paths map[string][]string) error {
	for {
		part, err := parts.NextPart()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		data, err := io.ReadAll(part)
		if err != nil {
			return err
		}
		for _, path := range paths[part.FormName()] {
			file := graphql.Upload{
				File:        bytes.NewReader(data),
				Filename:    part.FileName(),
				Size:        int64(len(data)),
				ContentType: part.Header.Get("Content-Type"),
			}
			if !place(req.variables, strings.Split(path, "."), file) {
				return errors.New("the map names no variable " + path)
			}
		}
	}
}

// place sets the value at a path, "variables.input.files.0", where null stands.
func place(vars map[string]any, path []string, file graphql.Upload) bool {
	if len(path) < 2 || path[0] != "variables" {
		return false
	}
	var at any = vars
	for i, step := range path[1:] {
		last := i == len(path)-2
		switch in := at.(type) {
		case map[string]any:
			var named bool
			if at, named = in[step]; last && named && at == nil {
				in[step] = file
				return true
			}
		case []any:
			n, err := strconv.Atoi(step)
			if err != nil || n < 0 || n >= len(in) {
				return false
			}
			if at = in[n]; last && at == nil {
				in[n] = file
				return true
			}
		default:
			return false
		}
	}
	return false
}
