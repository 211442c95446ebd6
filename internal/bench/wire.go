package bench

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"strconv"
	"time"

	"github.com/soukhq/souk/internal/base/id"
	"github.com/soukhq/souk/internal/driver"
)

// wire is a keep-alive connection to Souk that speaks just enough HTTP/1.1 for
// one kind of request: what the load generator burns, Souk cannot have.
type wire struct {
	addr string
	conn net.Conn
	out  []byte
	in   []byte
}

// answerTimeout bounds one call.
const answerTimeout = 20 * time.Second

// maxAnswer bounds an answer.
const maxAnswer = 64 << 10

func dial(addr string) (*wire, error) {
	conn, err := (&net.Dialer{}).DialContext(context.Background(), "tcp", addr)
	if err != nil {
		return nil, err
	}
	return &wire{addr: addr, conn: conn, in: make([]byte, 0, maxAnswer)}, nil
}

func (w *wire) close() { _ = w.conn.Close() }

// requestHead and requestBody are what all requests begin with.
var (
	requestHead = "POST /graphql HTTP/1.1\r\nContent-Type: application/json\r\nAccept: application/json\r\nHost: "
	requestBody = func() string {
		document, err := json.Marshal(driver.PurchaseCreate)
		if err != nil {
			panic(err) // of a text
		}
		return `{"query":` + string(document) + `,"variables":{"input":{"idempotencyKey":"`
	}()
)

// purchase writes a request: its own idempotency key, else all as it was made
// before.
func (w *wire) purchase(by *payer, of *seller, key string) {
	source := id.Global("FundingSource", by.source)
	size := len(requestBody) + len(key) + len(`","card":"`) + len(of.card) + len(`","fundingSourceId":"`) + len(source) + len(`"}}}`)
	b := append(w.out[:0], requestHead...)
	b = append(b, w.addr...)
	b = append(b, "\r\nAuthorization: Bearer "...)
	b = append(b, by.token...)
	b = append(b, "\r\nContent-Length: "...)
	b = strconv.AppendInt(b, int64(size), 10)
	b = append(b, "\r\n\r\n"...)
	b = append(b, requestBody...)
	b = append(b, key...)
	b = append(b, `","card":"`...)
	b = append(b, of.card...)
	b = append(b, `","fundingSourceId":"`...)
	b = append(b, source...)
	w.out = append(b, `"}}}`...)
}

// errUnpaid says that an answer is not that of a paid order.
var errUnpaid = errors.New("bench: not paid")

// pay sends a purchase and reads the answer, which must be a paid order.
func (w *wire) pay(by *payer, of *seller, key string) error {
	w.purchase(by, of, key)
	if err := w.conn.SetDeadline(time.Now().Add(answerTimeout)); err != nil {
		return err
	}
	if _, err := w.conn.Write(w.out); err != nil {
		return err
	}
	head, body, err := w.read()
	if err != nil {
		return err
	}
	if !paid(head, body) {
		return fmt.Errorf("%w: %s\n%s", errUnpaid, head, body)
	}
	return nil
}

func paid(head, body []byte) bool {
	return bytes.HasPrefix(head, []byte("HTTP/1.1 200 ")) && !bytes.Contains(body, []byte(`"errors":`)) &&
		bytes.Contains(body, []byte(`"userErrors":[]`)) && bytes.Contains(body, []byte(`"state":"PAID"`)) && bytes.Contains(body, []byte(`"replayed":false`))
}

// read reads one response, which has a Content-Length. Nothing follows it, as
// the next request has not been sent.
func (w *wire) read() (head, body []byte, err error) {
	w.in = w.in[:0]
	need := -1
	for need < 0 || len(w.in) < need {
		if len(w.in) == cap(w.in) {
			return nil, nil, errors.New("bench: an answer is too long")
		}
		n, err := w.conn.Read(w.in[len(w.in):cap(w.in)])
		if err != nil {
			return nil, nil, err
		}
		w.in = w.in[:len(w.in)+n]
		if need >= 0 {
			continue
		}
		end := bytes.Index(w.in, []byte("\r\n\r\n"))
		if end < 0 {
			continue
		}
		length, err := contentLength(w.in[:end+2])
		if err != nil {
			return nil, nil, err
		}
		head, need = w.in[:end], end+4+length
	}
	return head, w.in[len(head)+4 : need], nil
}

func contentLength(head []byte) (int, error) {
	const name = "\r\nContent-Length: "
	at := bytes.Index(head, []byte(name))
	if at < 0 {
		return 0, fmt.Errorf("bench: an answer without a length:\n%s", head)
	}
	value, _, _ := bytes.Cut(head[at+len(name):], []byte("\r\n"))
	return strconv.Atoi(string(value))
}
