// Package driver uses Souk from outside, through its public API, as frontends,
// the chat app's server and merchants do. The demo, the crash drill, the
// benchmarks and the API's tests drive Souk with it.
package driver

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"
)

// Client calls one Souk.
type Client struct {
	URL  string // of Souk, without a path
	HTTP *http.Client
	// Show is called with every operation and its answer, if it is set.
	Show func(document string, variables map[string]any, answer json.RawMessage)
}

// New makes a client.
func New(url string) *Client {
	return &Client{URL: strings.TrimRight(url, "/"), HTTP: &http.Client{Timeout: 30 * time.Second}}
}

// Error is a top-level error of the API.
type Error struct {
	Status  int
	Code    string
	Message string
}

// Error says what the API said.
func (e *Error) Error() string { return fmt.Sprintf("%s: %s (HTTP %d)", e.Code, e.Message, e.Status) }

// UserError is a refusal.
type UserError struct {
	Code    string   `json:"code"`
	Field   []string `json:"field"`
	Message string   `json:"message"`
	Retry   string   `json:"retry"`
}

// Error says what the API said.
func (e *UserError) Error() string { return e.Code + ": " + e.Message }

// Do sends an operation with a token and decodes its data into out.
func (c *Client) Do(ctx context.Context, token, document string, variables map[string]any, out any) error {
	body, err := json.Marshal(map[string]any{"query": document, "variables": variables})
	if err != nil {
		return err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, c.URL+"/graphql", bytes.NewReader(body))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/json")
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	resp, err := c.HTTP.Do(req)
	if err != nil {
		return err
	}
	defer func() { _ = resp.Body.Close() }()
	raw, err := io.ReadAll(resp.Body)
	if err != nil {
		return err
	}
	if c.Show != nil {
		c.Show(document, variables, raw)
	}
	return readResponse(raw, resp.StatusCode, out)
}

// response is a GraphQL response.
type response struct {
	Data   json.RawMessage `json:"data"`
	Errors []struct {
		Message    string `json:"message"`
		Extensions struct {
			Code string `json:"code"`
		} `json:"extensions"`
	} `json:"errors"`
}

// fault is the response's first error, if there is one.
func (r response) fault(status int) error {
	if len(r.Errors) == 0 {
		return nil
	}
	return &Error{Status: status, Code: r.Errors[0].Extensions.Code, Message: r.Errors[0].Message}
}

// readResponse decodes a response's data into out.
func readResponse(raw []byte, status int, out any) error {
	var r response
	if err := json.Unmarshal(raw, &r); err != nil {
		return &Error{Status: status, Code: "NOT_JSON", Message: string(raw[:min(len(raw), 200)])}
	}
	if err := r.fault(status); err != nil || out == nil {
		return err
	}
	return json.Unmarshal(r.Data, out)
}

// Ready waits until Souk can serve.
func (c *Client) Ready(ctx context.Context) error {
	for {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, c.URL+"/readyz", nil)
		if err != nil {
			return err
		}
		if resp, err := c.HTTP.Do(req); err == nil {
			_ = resp.Body.Close()
			if resp.StatusCode == http.StatusOK {
				return nil
			}
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("souk at %s is not ready: %w", c.URL, ctx.Err())
		case <-time.After(50 * time.Millisecond):
		}
	}
}
