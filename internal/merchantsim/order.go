package merchantsim

import (
	"bytes"
	"context"
	"errors"
	"io"
	"mime"
	"net/http"
	"strconv"
	"time"

	"github.com/soukhq/souk/internal/base/id"
	"github.com/soukhq/souk/internal/base/jose"
)

// takeOrder is what Souk calls to have an order confirmed or released.
func (s *Server) takeOrder(w http.ResponseWriter, r *http.Request) {
	m, err := s.readMessage(w, r)
	if err != nil {
		s.refuse(w, m, err)
		return
	}
	switch m.Type {
	case TypeConfirm:
		s.confirm(w, r, m)
	case TypeRelease:
		s.release(w, r, m)
	default:
		s.refuse(w, m, problem{http.StatusBadRequest, "TYPE_UNKNOWN", "there is no such type of message"})
	}
}

// readMessage reads a message and believes it, or tells why not.
func (s *Server) readMessage(w http.ResponseWriter, r *http.Request) (m Message, err error) {
	merchantID := s.settings.Load().merchantID
	if merchantID == "" {
		return m, problem{http.StatusServiceUnavailable, "NOT_REGISTERED", errNoMerchant.Error()}
	}
	if media, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type")); media != ContentType {
		return m, problem{http.StatusUnsupportedMediaType, "CONTENT_TYPE", "orders come as " + ContentType}
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	if err != nil {
		return m, problem{http.StatusRequestEntityTooLarge, "TOO_LARGE", "the message is too large or was cut off"}
	}
	t, err := s.souk.open(r.Context(), string(body), s.own, merchantID)
	if err != nil {
		return m, untrusted(err)
	}
	if err := t.Decode(&m); err != nil {
		return m, problem{http.StatusBadRequest, "MALFORMED", "the message is not of the form that was agreed"}
	}
	// Whoever recorded a message must not be able to play it again. The order's
	// own id would catch it too; this tells it apart from Souk asking again.
	if m.ID == "" || s.messages.add(m.ID, time.Now()) {
		return m, problem{http.StatusConflict, "REPLAYED", "the message has no jti, or one that was seen before"}
	}
	if err := m.Order.consistent(); err != nil {
		return m, problem{http.StatusBadRequest, "MALFORMED", err.Error()}
	}
	return m, nil
}

// untrusted tells apart what can never be right from what may be, later.
func untrusted(err error) problem {
	switch {
	case errors.Is(err, errNoKeys):
		return problem{http.StatusServiceUnavailable, "KEYS_UNREACHABLE", errNoKeys.Error()}
	case errors.Is(err, jose.ErrDecrypt), errors.Is(err, jose.ErrMalformed), errors.Is(err, jose.ErrTooLarge):
		return problem{http.StatusBadRequest, "MALFORMED", err.Error()}
	}
	return problem{http.StatusUnauthorized, "NOT_TRUSTED", err.Error()}
}

// refuse notes and answers what was not believed.
func (s *Server) refuse(w http.ResponseWriter, m Message, err error) {
	var p problem
	if !errors.As(err, &p) {
		p = problem{http.StatusServiceUnavailable, "UNAVAILABLE", "try again"}
		s.cfg.Log.Error("merchant-sim: order not taken", "err", err)
	}
	s.cfg.Log.Warn("merchant-sim: message refused", "code", p.Code, "detail", p.Detail, "order", m.Order.ID)
	e := Entry{Kind: Refused, OrderID: m.Order.ID, MessageID: m.ID, Code: p.Code, Verdict: p.Detail}
	if err := s.log.Append(e); err != nil {
		p = problem{http.StatusServiceUnavailable, "UNAVAILABLE", "try again"}
	}
	fail(w, p)
}

// asking is a message about an order, and what becomes of it.
type asking struct {
	Message
	plan Plan
	deal deal
}

// entry notes it.
func (a asking) entry(kind Kind) Entry {
	e := Entry{
		Kind: kind, OrderID: a.Order.ID, MessageID: a.Message.ID, SKU: a.Order.SKU, Quantity: a.Order.Quantity,
		Total: &a.Order.Total, Buyer: a.Buyer,
	}
	if a.plan.Behaviour != OK {
		e.Behaviour = a.plan.Behaviour
	}
	return e
}

// confirm answers an order, in the way that the plan says.
func (s *Server) confirm(w http.ResponseWriter, r *http.Request, m Message) {
	a := asking{Message: m, plan: s.plans.next(OnOrders, m.Order.SKU)}
	asked := a.entry(Asked)
	if a.plan.Behaviour.unsettling() {
		// What was asked is noted also where no answer follows.
		if err := s.log.Append(asked); err != nil {
			s.refuse(w, m, err)
			return
		}
		if !s.unsettle(w, r, a.plan) {
			return
		}
	}
	var err error
	a.deal, asked.Again, err = s.book.decide(m.Order, s.settings.Load().products, a.plan.Behaviour == Decline)
	switch {
	case errors.Is(err, errOther):
		err = problem{http.StatusConflict, "ORDER_DIFFERS", err.Error()}
	case err != nil:
	case a.plan.defers() && !a.deal.delivered:
		err = s.accept(w, a, asked)
	default:
		err = s.answer(w, r, a, asked)
	}
	if err != nil {
		s.refuse(w, m, err)
	}
}

// accept says that the answer comes later. Nothing is promised by that, but that
// Souk need not ask again soon (RFC 9110 §15.3.3).
func (s *Server) accept(w http.ResponseWriter, a asking, asked Entry) error {
	wait := a.plan.delay()
	if by := a.Order.ConfirmBy; a.plan.Behaviour == LateYes && by != nil {
		wait += max(0, time.Until(*by))
	}
	if s.calls.full() {
		return problem{http.StatusServiceUnavailable, "BUSY", "too many orders wait for their answer"}
	}
	accepted := Entry{Kind: Accepted, OrderID: a.Order.ID, Behaviour: asked.Behaviour, Again: asked.Again}
	if err := s.log.Append(asked, accepted); err != nil {
		return err
	}
	s.calls.later(a.deal, a.plan.Behaviour, wait)
	w.WriteHeader(http.StatusAccepted)
	return nil
}

// answer answers at once.
func (s *Server) answer(w http.ResponseWriter, r *http.Request, a asking, asked Entry) error {
	token, answered, err := s.write(r.Context(), a.deal, a.plan.Behaviour)
	if err != nil {
		return err
	}
	entries := []Entry{asked, answered}
	if a.plan.Behaviour.unsettling() { // that it was asked is noted already
		entries = entries[1:]
	}
	// On disk before Souk hears of it: a merchant that forgets a yes takes money
	// for nothing.
	if err := s.log.Append(entries...); err != nil {
		return err
	}
	if a.plan.Behaviour == Double {
		s.calls.later(a.deal, Double, a.plan.delay())
	}
	w.Header().Set("Content-Type", ContentType)
	w.Header().Set("Content-Length", strconv.Itoa(len(token)))
	_, _ = w.Write(token)
	return nil
}

// write makes the token of an answer, and the entry that tells of it. A
// behaviour may spoil it.
func (s *Server) write(ctx context.Context, d deal, b Behaviour) ([]byte, Entry, error) {
	e := Entry{
		Kind: Answered, OrderID: d.orderID, SKU: d.sku, Quantity: d.quantity, Total: &d.total,
		Decision: d.decision, Reference: d.reference(), Reason: d.reason,
	}
	if b != OK {
		e.Behaviour = b
	}
	switch b {
	case Malformed:
		return []byte("this is no token"), e, nil
	case Huge:
		return bytes.Repeat([]byte{'A'}, hugeAnswer), e, nil
	}
	keys, err := s.souk.keys(ctx)
	if err != nil {
		return nil, e, untrusted(err)
	}
	answer, sign := s.spoil(Answer{
		Issuer: s.settings.Load().merchantID, Audience: s.souk.url, OrderID: d.orderID,
		Decision: d.decision, Total: d.total, Reference: e.Reference, Reason: d.reason,
	}, b)
	token, err := answer.Seal(sign, keys.encrypt)
	return []byte(token), e, err
}

// hugeAnswer is well above what an answer may be.
const hugeAnswer = 1 << 20

// spoil makes an answer wrong in the way that was asked for, and gives the key
// to sign it with.
func (s *Server) spoil(a Answer, b Behaviour) (Answer, *jose.Key) {
	sign := s.keys.Sign
	switch b {
	case WrongSignature:
		sign = s.wrong
	case WrongAmount:
		a.Total.AmountMinor++
	case WrongOrder:
		if a.OrderID = s.book.other(a.OrderID); a.OrderID == "" {
			a.OrderID = id.Global("Order", id.New())
		}
	}
	return a, sign
}

// release gives an order up that has ended without payment. Souk repeats it until
// it gets a 2xx.
func (s *Server) release(w http.ResponseWriter, r *http.Request, m Message) {
	a := asking{Message: m, plan: s.plans.nextUnsettling(OnOrders, m.Order.SKU)}
	if !s.unsettle(w, r, a.plan) {
		return
	}
	again, err := s.book.release(m.Order.ID)
	if err == nil {
		released := a.entry(Released)
		released.Again = again
		err = s.log.Append(released)
	}
	if err != nil {
		s.refuse(w, m, err)
		return
	}
	w.WriteHeader(http.StatusNoContent)
}

// unsettle is down, or hangs, or is slow, and tells whether to go on.
func (s *Server) unsettle(w http.ResponseWriter, r *http.Request, p Plan) (goOn bool) {
	switch {
	case p.Behaviour == Slow:
		s.sleep(p.delay())
	case p.Behaviour == Hang:
		s.hang(r)
		panic(http.ErrAbortHandler)
	case p.Behaviour == Down && p.Status == 0:
		panic(http.ErrAbortHandler) // closes the connection without an answer
	case p.Behaviour == Down:
		if p.RetryAfterSec > 0 {
			w.Header().Set("Retry-After", strconv.Itoa(p.RetryAfterSec))
		}
		fail(w, problem{p.Status, "DOWN", "out of order, as it was told to be"})
		return false
	}
	return true
}

func (s *Server) sleep(d time.Duration) {
	select {
	case <-time.After(d):
	case <-s.stop:
	}
}

func (s *Server) hang(r *http.Request) {
	select {
	case <-r.Context().Done():
	case <-time.After(maxHang):
	case <-s.stop:
	}
}
