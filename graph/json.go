package graph

import (
	"encoding/json"
	"errors"
	"unicode/utf16"
	"unicode/utf8"
)

// A request is read by hand: encoding/json spends more time on it than all else
// that the edge does for a small operation. Numbers stay as they are written.
// What it takes, and what it makes of it, is what encoding/json does (a fuzz
// test holds it to that), but for three things: text must be UTF-8, names are
// compared with their case, and nesting is bounded.

// maxNesting bounds objects and lists in one another.
const maxNesting = 64

var (
	errSyntax  = errors.New("not well-formed JSON")
	errNesting = errors.New("nested too deeply")
)

// jsonReader walks over a text.
type jsonReader struct {
	data []byte
	pos  int
	deep int
}

// readJSON reads a whole text.
func readJSON(data []byte) (any, error) {
	r := jsonReader{data: data}
	v, err := r.value()
	if err != nil {
		return nil, err
	}
	if r.peek(); r.pos < len(data) {
		return nil, errSyntax
	}
	return v, nil
}

// peek skips white space and gives the next byte; 0 at the end.
func (r *jsonReader) peek() byte {
	for r.pos < len(r.data) {
		switch c := r.data[r.pos]; c {
		case ' ', '\t', '\r', '\n':
			r.pos++
		default:
			return c
		}
	}
	return 0
}

func (r *jsonReader) value() (any, error) {
	switch r.peek() {
	case '{':
		return r.object()
	case '[':
		return r.list()
	case '"':
		return r.text()
	case 't':
		return true, r.word("true")
	case 'f':
		return false, r.word("false")
	case 'n':
		return nil, r.word("null")
	}
	return r.number()
}

func (r *jsonReader) word(w string) error {
	if len(r.data)-r.pos < len(w) || string(r.data[r.pos:r.pos+len(w)]) != w {
		return errSyntax
	}
	r.pos += len(w)
	return nil
}

// enter begins an object or a list.
func (r *jsonReader) enter() error {
	if r.deep++; r.deep > maxNesting {
		return errNesting
	}
	r.pos++
	return nil
}

// next tells whether another element follows; the first one needs no comma.
func (r *jsonReader) next(end byte, first bool) (bool, error) {
	switch c := r.peek(); {
	case c == end:
		r.pos++
		r.deep--
		return false, nil
	case first:
		return true, nil
	case c == ',':
		r.pos++
		if r.peek() == end {
			return false, errSyntax
		}
		return true, nil
	}
	return false, errSyntax
}

func (r *jsonReader) object() (map[string]any, error) {
	if err := r.enter(); err != nil {
		return nil, err
	}
	object := map[string]any{}
	for first := true; ; first = false {
		more, err := r.next('}', first)
		if err != nil || !more {
			return object, err
		}
		if r.peek() != '"' {
			return nil, errSyntax
		}
		name, err := r.text()
		if err != nil {
			return nil, err
		}
		if r.peek() != ':' {
			return nil, errSyntax
		}
		r.pos++
		if object[name], err = r.value(); err != nil {
			return nil, err
		}
	}
}

func (r *jsonReader) list() ([]any, error) {
	if err := r.enter(); err != nil {
		return nil, err
	}
	list := []any{}
	for first := true; ; first = false {
		more, err := r.next(']', first)
		if err != nil || !more {
			return list, err
		}
		v, err := r.value()
		if err != nil {
			return nil, err
		}
		list = append(list, v)
	}
}

// text reads a string; most hold no escape and are copied as they are.
func (r *jsonReader) text() (string, error) {
	r.pos++
	start := r.pos
	for r.pos < len(r.data) {
		switch c := r.data[r.pos]; {
		case c == '"':
			s := r.data[start:r.pos]
			r.pos++
			if !utf8.Valid(s) {
				return "", errSyntax
			}
			return string(s), nil
		case c == '\\':
			return r.escaped(start)
		case c < ' ':
			return "", errSyntax
		}
		r.pos++
	}
	return "", errSyntax
}

// escaped reads on in a string whose first escape is at hand.
func (r *jsonReader) escaped(start int) (string, error) {
	out := make([]byte, 0, r.pos-start+64)
	for r.pos < len(r.data) {
		switch c := r.data[r.pos]; {
		case c == '"':
			out = append(out, r.data[start:r.pos]...)
			r.pos++
			if !utf8.Valid(out) {
				return "", errSyntax
			}
			return string(out), nil
		case c == '\\':
			out = append(out, r.data[start:r.pos]...)
			var ok bool
			if out, ok = r.escape(out); !ok {
				return "", errSyntax
			}
			start = r.pos
		case c < ' ':
			return "", errSyntax
		default:
			r.pos++
		}
	}
	return "", errSyntax
}

// escape reads one escape (RFC 8259 §7) and appends what it stands for.
func (r *jsonReader) escape(out []byte) ([]byte, bool) {
	if r.pos+1 >= len(r.data) {
		return nil, false
	}
	c := r.data[r.pos+1]
	r.pos += 2
	switch c {
	case '"', '\\', '/':
	case 'b':
		c = '\b'
	case 'f':
		c = '\f'
	case 'n':
		c = '\n'
	case 'r':
		c = '\r'
	case 't':
		c = '\t'
	case 'u':
		u, ok := r.unit(r.pos)
		if !ok {
			return nil, false
		}
		r.pos += 4
		if utf16.IsSurrogate(u) {
			u = r.pair(u)
		}
		return utf8.AppendRune(out, u), true
	default:
		return nil, false
	}
	return append(out, c), true
}

// pair joins a surrogate with the one that follows; half a pair is no character.
func (r *jsonReader) pair(u rune) rune {
	if r.pos+1 < len(r.data) && r.data[r.pos] == '\\' && r.data[r.pos+1] == 'u' {
		if low, ok := r.unit(r.pos + 2); ok {
			if joined := utf16.DecodeRune(u, low); joined != utf8.RuneError {
				r.pos += 6
				return joined
			}
		}
	}
	return utf8.RuneError
}

// unit reads four hexadecimal digits.
func (r *jsonReader) unit(at int) (u rune, ok bool) {
	if at+4 > len(r.data) {
		return 0, false
	}
	for _, c := range r.data[at : at+4] {
		switch {
		case c >= '0' && c <= '9':
			c -= '0'
		case c >= 'a' && c <= 'f':
			c -= 'a' - 10
		case c >= 'A' && c <= 'F':
			c -= 'A' - 10
		default:
			return 0, false
		}
		u = u<<4 | rune(c)
	}
	return u, true
}

// number reads a number (RFC 8259 §6) as it is written.
func (r *jsonReader) number() (json.Number, error) {
	start := r.pos
	r.skip('-')
	if !r.skip('0') && r.digits() == 0 {
		return "", errSyntax
	}
	if r.skip('.') && r.digits() == 0 {
		return "", errSyntax
	}
	if r.skip('e') || r.skip('E') {
		if !r.skip('-') {
			r.skip('+')
		}
		if r.digits() == 0 {
			return "", errSyntax
		}
	}
	return json.Number(r.data[start:r.pos]), nil
}

func (r *jsonReader) skip(c byte) bool {
	if r.pos < len(r.data) && r.data[r.pos] == c {
		r.pos++
		return true
	}
	return false
}

func (r *jsonReader) digits() (n int) {
	for r.pos < len(r.data) && r.data[r.pos] >= '0' && r.data[r.pos] <= '9' {
		r.pos++
		n++
	}
	return n
}
