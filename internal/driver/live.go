package driver

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"

	"github.com/coder/websocket"
)

// Transport is a way to follow a subscription.
type Transport string

// The transports.
const (
	Socket Transport = "graphql-transport-ws"
	Events Transport = "text/event-stream"
)

// Closed says how the server closed a WebSocket.
type Closed struct {
	Code   int
	Reason string
}

// Error says it as a person reads it.
func (c *Closed) Error() string { return fmt.Sprintf("closed: %d %s", c.Code, c.Reason) }

// Stream is a subscription that runs.
type Stream struct {
	events chan json.RawMessage
	ended  chan struct{}
	err    error // once ended
	stop   func()
}

// Next waits for the next event and decodes its data into out. When there is none
// it tells why: io.EOF if the subscription is complete, *Error for what the API
// said, *Closed for how the WebSocket was closed.
func (s *Stream) Next(ctx context.Context, out any) error {
	select {
	case data := <-s.events:
		return json.Unmarshal(data, out)
	case <-s.ended:
		return s.err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Close ends the subscription from this side.
func (s *Stream) Close() {
	s.stop()
	<-s.ended
}

// Follow begins a subscription.
func (c *Client) Follow(ctx context.Context, how Transport, token, document string, variables map[string]any) (*Stream, error) {
	body, err := json.Marshal(map[string]any{"query": document, "variables": variables})
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(ctx)
	s := &Stream{events: make(chan json.RawMessage), ended: make(chan struct{}), stop: cancel}
	open := c.openEvents
	if how == Socket {
		open = c.openSocket
	}
	read, err := open(ctx, token, body)
	if err != nil {
		cancel()
		return nil, err
	}
	go func() {
		defer close(s.ended)
		defer cancel()
		s.err = read(s.push(ctx))
	}()
	return s, nil
}

// push gives an event to whoever reads the stream.
func (s *Stream) push(ctx context.Context) func(payload []byte) error {
	return func(payload []byte) error {
		var result response
		if err := json.Unmarshal(payload, &result); err != nil {
			return err
		}
		if err := result.fault(http.StatusOK); err != nil {
			return err
		}
		select {
		case s.events <- result.Data:
			return nil
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// reader passes on what comes until the end, and tells why it ended.
type reader func(push func(payload []byte) error) error

// longest is the longest event that is read.
const longest = 1 << 20

// openEvents opens a stream of server-sent events.
func (c *Client) openEvents(ctx context.Context, token string, body []byte) (reader, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, c.URL+"/graphql", bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Accept", string(Events))
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	patient := *c.HTTP
	patient.Timeout = 0 // it would count the whole stream
	resp, err := patient.Do(req)
	if err != nil {
		return nil, err
	}
	if !strings.HasPrefix(resp.Header.Get("Content-Type"), string(Events)) {
		defer func() { _ = resp.Body.Close() }()
		raw, err := io.ReadAll(io.LimitReader(resp.Body, longest))
		if err != nil {
			return nil, err
		}
		if err := readResponse(raw, resp.StatusCode, nil); err != nil {
			return nil, err
		}
		return nil, errors.New("driver: a subscription was answered at once")
	}
	return func(push func([]byte) error) error {
		defer func() { _ = resp.Body.Close() }()
		return readEvents(resp.Body, push)
	}, nil
}

// readEvents reads the events of the GraphQL over SSE protocol: "next" has a
// result, "complete" ends.
func readEvents(from io.Reader, push func([]byte) error) error {
	lines := bufio.NewScanner(from)
	lines.Buffer(nil, longest)
	event := ""
	for lines.Scan() {
		name, value, _ := strings.Cut(lines.Text(), ":")
		value = strings.TrimPrefix(value, " ")
		switch {
		case name == "event":
			event = value
		case name == "data" && event == "next":
			if err := push([]byte(value)); err != nil {
				return err
			}
		case name == "data" && event == "complete":
			return io.EOF
		}
	}
	if err := lines.Err(); err != nil {
		return err
	}
	return io.ErrUnexpectedEOF
}

// socketMessage is one of the graphql-transport-ws protocol.
type socketMessage struct {
	ID      string          `json:"id,omitempty"`
	Type    string          `json:"type"`
	Payload json.RawMessage `json:"payload,omitempty"`
}

// openSocket opens a WebSocket for one operation. The token goes into
// connection_init, as that of a browser must.
func (c *Client) openSocket(ctx context.Context, token string, body []byte) (reader, error) {
	patient := *c.HTTP
	patient.Timeout = 0
	conn, resp, err := websocket.Dial(ctx, "ws"+strings.TrimPrefix(c.URL, "http")+"/graphql", //nolint:bodyclose // the library takes care of it
		&websocket.DialOptions{Subprotocols: []string{string(Socket)}, HTTPClient: &patient})
	if err != nil {
		if resp != nil {
			return nil, &Error{Status: resp.StatusCode, Code: "HANDSHAKE", Message: err.Error()}
		}
		return nil, err
	}
	conn.SetReadLimit(longest)
	init := map[string]string{}
	if token != "" {
		init["Authorization"] = "Bearer " + token
	}
	if err := greet(ctx, conn, init, body); err != nil {
		_ = conn.CloseNow()
		return nil, err
	}
	return func(push func([]byte) error) error {
		defer func() { _ = conn.CloseNow() }()
		return readSocket(ctx, conn, push)
	}, nil
}

// greet sends who calls and what for.
func greet(ctx context.Context, conn *websocket.Conn, init map[string]string, body []byte) error {
	payload, err := json.Marshal(init)
	if err != nil {
		return err
	}
	if err := say(ctx, conn, socketMessage{Type: "connection_init", Payload: payload}); err != nil {
		return err
	}
	m, err := hear(ctx, conn)
	if err != nil {
		return err
	}
	if m.Type != "connection_ack" {
		return errors.New("driver: connection_init was answered by " + m.Type)
	}
	return say(ctx, conn, socketMessage{ID: "1", Type: "subscribe", Payload: body})
}

func readSocket(ctx context.Context, conn *websocket.Conn, push func([]byte) error) error {
	for {
		m, err := hear(ctx, conn)
		if err != nil {
			return err
		}
		switch m.Type {
		case "next":
			err = push(m.Payload)
		case "error":
			err = push([]byte(`{"errors":` + string(m.Payload) + `}`))
		case "complete":
			err = io.EOF
		case "ping":
			err = say(ctx, conn, socketMessage{Type: "pong"})
		}
		if err != nil {
			return err
		}
	}
}

func say(ctx context.Context, conn *websocket.Conn, m socketMessage) error {
	data, err := json.Marshal(m)
	if err != nil {
		return err
	}
	return conn.Write(ctx, websocket.MessageText, data)
}

func hear(ctx context.Context, conn *websocket.Conn) (m socketMessage, err error) {
	_, data, err := conn.Read(ctx)
	var closed websocket.CloseError
	if errors.As(err, &closed) {
		return m, &Closed{int(closed.Code), closed.Reason}
	}
	if err != nil {
		return m, err
	}
	return m, json.Unmarshal(data, &m)
}
