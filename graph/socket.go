package graph

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/99designs/gqlgen/graphql"
	"github.com/coder/websocket"
	"github.com/vektah/gqlparser/v2/ast"
	"github.com/vektah/gqlparser/v2/gqlerror"

	"github.com/soukhq/souk/internal/base/auth"
	"github.com/soukhq/souk/internal/base/errs"
)

// subprotocol is the only one that is spoken: the GraphQL over WebSocket
// protocol of graphql-ws.
const subprotocol = "graphql-transport-ws"

// The codes with which that protocol closes a connection.
const (
	closeBadRequest      websocket.StatusCode = 4400
	closeUnauthorized    websocket.StatusCode = 4401
	closeForbidden       websocket.StatusCode = 4403
	closeSubprotocol     websocket.StatusCode = 4406
	closeInitTimeout     websocket.StatusCode = 4408
	closeSubscriberTaken websocket.StatusCode = 4409
	closeTooManyInits    websocket.StatusCode = 4429
)

// maxOperationID is the longest id that a client may give an operation.
const maxOperationID = 128

// socketMessage is a message of the protocol, in either direction.
type socketMessage struct {
	ID      string          `json:"id,omitempty"`
	Type    string          `json:"type"`
	Payload json.RawMessage `json:"payload,omitempty"`
}

// socket is one connection. Its reader is the only one that changes init and
// caller; operations run on their own.
type socket struct {
	h       *Handler
	conn    *websocket.Conn
	request *http.Request // the handshake

	ctx    context.Context // of the connection
	caller context.Context // with the viewer, once acknowledged; ends with the credentials
	stops  []func()        // end the watch over these contexts
	scope  *scope

	mu         sync.Mutex
	inited     bool
	operations map[string]*socketOperation
	running    sync.WaitGroup
}

// socketOperation is one that runs. The pointer tells it from a later one of
// the same id.
type socketOperation struct{ cancel context.CancelFunc }

// serveSocket speaks the protocol until either side is done.
func (h *Handler) serveSocket(ctx context.Context, w http.ResponseWriter, r *http.Request) {
	if origin := r.Header.Get("Origin"); origin != "" && !h.sockets.allows(origin, r) {
		write(w, accepted{}, answer{http.StatusForbidden, refused(fault(codeForbidden, "Pages of this origin may not connect."))})
		return
	}
	ctx, err := h.authenticate(ctx, r)
	if err = h.counted(ctx, err); err != nil {
		h.refuseCaller(ctx, w, r, accepted{}, err)
		return
	}
	live, leave, err := h.streams.enter(ctx)
	if err != nil {
		write(w, accepted{}, answerTo(refused(h.engine.present(ctx, err)), accepted{}))
		return
	}
	defer leave()
	conn, err := websocket.Accept(w, r, &websocket.AcceptOptions{
		Subprotocols:       []string{subprotocol},
		InsecureSkipVerify: true, // the origin was checked above
	})
	if err != nil {
		return // Accept has answered
	}
	conn.SetReadLimit(h.cfg.Limits.BodyBytes)
	s := &socket{h: h, conn: conn, request: r, scope: scopeOf(ctx), operations: map[string]*socketOperation{}}
	s.serve(live)
}

func (s *socket) serve(ctx context.Context) {
	ctx, cancel := context.WithCancel(ctx)
	s.ctx = ctx
	defer func() {
		for _, stop := range s.stops {
			stop()
		}
		cancel()
		s.running.Wait()
		_ = s.conn.CloseNow()
	}()
	if s.conn.Subprotocol() != subprotocol {
		s.close(closeSubprotocol, "Subprotocol not acceptable")
		return
	}
	slow := time.AfterFunc(s.h.cfg.Limits.InitTimeout, s.initTimeout)
	defer slow.Stop()
	s.closeWith(ctx)
	s.running.Go(s.ping)
	for {
		_, data, err := s.conn.Read(context.Background()) // ended by closing the connection
		if err != nil || !s.handle(data) {
			return
		}
	}
}

// handle acts on one message; false ends the connection.
func (s *socket) handle(data []byte) bool {
	var m socketMessage
	if err := json.Unmarshal(data, &m); err != nil {
		return s.close(closeBadRequest, "Invalid message received")
	}
	switch m.Type {
	case "connection_init":
		return s.init(m.Payload)
	case "ping":
		s.send(&socketMessage{Type: "pong", Payload: m.Payload})
	case "pong":
	case "subscribe":
		return s.subscribe(&m)
	case "complete":
		s.end(m.ID)
	default:
		return s.close(closeBadRequest, "Invalid message received")
	}
	return true
}

// init finds who is calling, and with which program. It is done once. What comes
// in headers otherwise may come in its payload, under their names: browsers let
// no page set the headers of a handshake.
func (s *socket) init(payload json.RawMessage) bool {
	s.mu.Lock()
	again := s.inited
	s.inited = true
	s.mu.Unlock()
	if again {
		return s.close(closeTooManyInits, "Too many initialisation requests")
	}
	var params map[string]any
	if len(payload) > 0 {
		if err := json.Unmarshal(payload, &params); err != nil {
			return s.close(closeBadRequest, "Invalid message received")
		}
	}
	caller, err := s.authenticate(params)
	if err != nil {
		_ = s.h.engine.present(s.ctx, err) // logs what the close code hides
		return s.close(closeCode(err))
	}
	s.caller = caller
	s.scope.client = cmp.Or(clientName(func(name string) string { return param(params, name) }), s.scope.client)
	return s.send(&socketMessage{Type: "connection_ack"})
}

// authenticate puts the viewer into the context that it gives, which ends with
// the credentials. A token in the payload, with the proof of a bound one, goes
// before one in the header.
func (s *socket) authenticate(params map[string]any) (context.Context, error) {
	verifier := s.h.cfg.Verifier
	if verifier == nil {
		return s.ctx, nil
	}
	viewer := auth.FromContext(s.ctx)
	if token := param(params, "Authorization"); token != "" {
		var err error
		if viewer, err = verifier.VerifyInit(s.ctx, token, param(params, "DPoP"), s.request.URL.EscapedPath()); err != nil {
			return nil, err
		}
	}
	leave, err := s.h.streams.connect(viewer)
	if err != nil {
		return nil, err
	}
	s.stops = append(s.stops, leave)
	ctx, cancel, err := verifier.Watch(s.ctx, viewer)
	if err != nil {
		return nil, err
	}
	s.closeWith(ctx)
	s.stops = append(s.stops, cancel)
	return auth.NewContext(ctx, viewer), nil
}

// param reads a text of a payload by the name of a header, in any case.
func param(params map[string]any, name string) string {
	for key, v := range params {
		if text, ok := v.(string); ok && strings.EqualFold(key, name) {
			return text
		}
	}
	return ""
}

func (s *socket) initTimeout() {
	s.mu.Lock()
	inited := s.inited
	s.inited = true // a late one is one too many
	s.mu.Unlock()
	if !inited {
		s.close(closeInitTimeout, "Connection initialisation timeout")
	}
}

// closeWith closes the connection when ctx ends, with the code of its cause.
func (s *socket) closeWith(ctx context.Context) {
	stop := context.AfterFunc(ctx, func() {
		s.close(closeCode(context.Cause(ctx)))
	})
	s.stops = append(s.stops, func() { stop() })
}

// closeCode is how a connection ends for an error.
func closeCode(err error) (websocket.StatusCode, string) {
	switch errs.KindOf(err) {
	case errs.Unauthenticated:
		return closeUnauthorized, "Unauthorized"
	case errs.Forbidden:
		return closeForbidden, "Forbidden"
	case errs.RateLimited, errs.Unavailable:
		return websocket.StatusTryAgainLater, "Try again later"
	}
	switch {
	case errors.Is(err, errShutdown):
		return websocket.StatusGoingAway, "Going away"
	case errors.Is(err, context.Canceled):
		return websocket.StatusNormalClosure, ""
	}
	return websocket.StatusInternalError, "Internal error"
}

// subscribe starts an operation of any kind.
func (s *socket) subscribe(m *socketMessage) bool {
	if s.caller == nil {
		return s.close(closeUnauthorized, "Unauthorized")
	}
	if m.ID == "" || len(m.ID) > maxOperationID {
		return s.close(closeBadRequest, "Invalid message received")
	}
	req, bad := decodeRequest(m.Payload)
	if bad != nil {
		return s.close(closeBadRequest, "Invalid message received")
	}
	req.headers = s.request.Header
	ctx, cancel := context.WithCancel(withScope(s.caller, s.scope.another()))
	op := &socketOperation{cancel: cancel}
	s.mu.Lock()
	_, taken := s.operations[m.ID]
	full := len(s.operations) >= s.h.cfg.Limits.SocketOperations
	if !taken && !full {
		s.operations[m.ID] = op
	}
	s.mu.Unlock()
	switch {
	case taken:
		cancel()
		return s.close(closeSubscriberTaken, "Subscriber for "+m.ID+" already exists")
	case full:
		cancel()
		return s.sendErrors(m.ID, fault(codeRateLimited, "This connection runs as many operations as it may."))
	}
	s.running.Go(func() {
		s.run(ctx, m.ID, op, req)
		s.forget(m.ID, op)
		cancel()
	})
	return true
}

// run sends what an operation answers. Once the client has completed it, no
// more is said of it.
func (s *socket) run(ctx context.Context, id string, op *socketOperation, req *request) {
	defer func() {
		if value := recover(); value != nil {
			s.finish(id, op, s.h.engine.present(ctx, recovered(ctx, value)))
		}
	}()
	prepared, faults := s.h.engine.prepare(ctx, req)
	if faults != nil {
		s.finish(id, op, faults...)
		return
	}
	if prepared.is(ast.Subscription) {
		leave, err := s.h.streams.subscribe(auth.FromContext(ctx))
		if err != nil {
			s.finish(id, op, s.h.engine.present(ctx, err))
			return
		}
		defer leave()
	}
	var failed gqlerror.List
	s.h.engine.stream(ctx, prepared, func(resp *graphql.Response) bool {
		if resp.Data == nil {
			failed = resp.Errors
			return false
		}
		return ctx.Err() == nil && s.sendResponse(id, resp)
	})
	// Otherwise the client, or the end of the connection, has said why. What ends
	// the caller's context comes to the operation's a moment later.
	if ctx.Err() == nil && s.caller.Err() == nil {
		s.finish(id, op, failed...)
	}
}

// finish tells the client that an operation is over, unless the client said so
// first.
func (s *socket) finish(id string, op *socketOperation, failed ...*gqlerror.Error) {
	switch {
	case !s.forget(id, op):
	case len(failed) > 0:
		s.sendErrors(id, failed...)
	default:
		s.send(&socketMessage{ID: id, Type: "complete"})
	}
}

// forget frees the id of an operation; false when it was free already.
func (s *socket) forget(id string, op *socketOperation) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.operations[id] != op {
		return false
	}
	delete(s.operations, id)
	return true
}

// end stops an operation that the client completed.
func (s *socket) end(id string) {
	s.mu.Lock()
	op := s.operations[id]
	delete(s.operations, id)
	s.mu.Unlock()
	if op != nil {
		op.cancel()
	}
}

func (s *socket) sendErrors(id string, list ...*gqlerror.Error) bool {
	payload, err := json.Marshal(list)
	if err != nil {
		return false
	}
	return s.send(&socketMessage{ID: id, Type: "error", Payload: payload})
}

func (s *socket) sendResponse(id string, resp *graphql.Response) bool {
	b := buffers.Get().(*bytes.Buffer)
	defer release(b)
	name, _ := json.Marshal(id)
	b.WriteString(`{"id":`)
	b.Write(name)
	b.WriteString(`,"type":"next","payload":`)
	encode(b, resp)
	b.WriteByte('}')
	return s.write(b.Bytes())
}

func (s *socket) send(m *socketMessage) bool {
	data, err := json.Marshal(m)
	return err == nil && s.write(data)
}

// write sends one message. A client that does not read it in time is cut off.
func (s *socket) write(data []byte) bool {
	ctx, cancel := context.WithTimeout(context.Background(), s.h.cfg.Limits.WriteTimeout)
	defer cancel()
	return s.conn.Write(ctx, websocket.MessageText, data) == nil
}

// ping proves by WebSocket's own pings that the client is still there.
func (s *socket) ping() {
	tick := time.NewTicker(s.h.cfg.Limits.PingEvery)
	defer tick.Stop()
	for {
		select {
		case <-s.ctx.Done():
			return
		case <-tick.C:
		}
		ctx, cancel := context.WithTimeout(s.ctx, s.h.cfg.Limits.WriteTimeout)
		err := s.conn.Ping(ctx)
		cancel()
		if err != nil {
			_ = s.conn.CloseNow()
			return
		}
	}
}

// close ends the connection. It is false, for handle's callers to return.
func (s *socket) close(code websocket.StatusCode, reason string) bool {
	const longest = 123 // RFC 6455 §5.5: a control frame holds 125 bytes
	if len(reason) > longest {
		reason = strings.ToValidUTF8(reason[:longest], "")
	}
	_ = s.conn.Close(code, reason)
	return false
}
