package graph

import (
	"net/http"
	"net/url"
	"strings"
)

// origins is the list of web origins whose pages may use the API. The API takes
// bearer tokens and no cookies, so what an origin is not allowed it could do
// without a browser as well: the list protects users of pages, not the server.
type origins struct {
	any    bool
	listed map[string]bool
}

func newOrigins(list []string) origins {
	o := origins{listed: make(map[string]bool, len(list))}
	for _, origin := range list {
		o.any = o.any || origin == "*"
		o.listed[origin] = true
	}
	return o
}

// allows tells whether a page of the origin may use the API.
func (o origins) allows(origin string, r *http.Request) bool {
	if o.any || o.listed[origin] {
		return true
	}
	u, err := url.Parse(origin)
	return err == nil && u.Host != "" && strings.EqualFold(u.Host, r.Host)
}

// What a page may send, and see of an answer.
var (
	corsHeaders = strings.Join(append([]string{
		"Accept", "Authorization", "Content-Type", "DPoP", "X-Request-Id", "Last-Event-ID",
		"GraphQL-Client-Name", "Apollographql-Client-Name", "Apollographql-Client-Version",
	}, preflightHeaders...), ", ")
	corsExposed = strings.Join([]string{"X-Request-Id", "Retry-After", "WWW-Authenticate"}, ", ")
)

// answer tells the browser whether the page that asks may see the answer
// (WHATWG Fetch, CORS protocol).
func (o origins) answer(h http.Header, r *http.Request) {
	origin := r.Header.Get("Origin")
	if origin == "" || !o.allows(origin, r) {
		return
	}
	h.Set("Access-Control-Allow-Origin", origin)
	h.Set("Access-Control-Expose-Headers", corsExposed)
	if r.Method == http.MethodOptions && r.Header.Get("Access-Control-Request-Method") != "" {
		h.Set("Access-Control-Allow-Methods", methods)
		h.Set("Access-Control-Allow-Headers", corsHeaders)
		h.Set("Access-Control-Max-Age", "7200")
	}
}
