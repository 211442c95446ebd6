// Package graphiql serves the API explorer from files that are part of the
// binary: the page loads nothing from any other place.
//
// The files under assets/ are the published builds of graphiql 4.1.2 and of
// react and react-dom 18.2.0, unchanged, with their licences in LICENSES.txt;
// start.js and start.css are Souk's own.
package graphiql

import (
	"crypto/rand"
	"embed"
	"fmt"
	"html/template"
	"net/http"
	"strings"
)

//go:embed assets
var assets embed.FS

//go:embed index.html
var page string

var index = template.Must(template.New("page").Parse(page))

// policy lets the page run its own scripts, draw, and talk to its own server,
// and nothing else. A dialog of GraphiQL adds a style that carries the nonce.
const policy = "default-src 'none'; script-src 'self'; style-src 'self' 'nonce-%s'; " +
	"font-src data:; img-src 'self' data:; connect-src 'self'; " +
	"base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

// Handler serves the explorer of an endpoint under /graphiql/.
func Handler(endpoint string) http.Handler {
	files := http.StripPrefix("/graphiql/", http.FileServerFS(assets))
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Referrer-Policy", "no-referrer")
		switch path := r.URL.Path; {
		case r.Method != http.MethodGet && r.Method != http.MethodHead:
			h.Set("Allow", "GET, HEAD")
			http.Error(w, "This method is not served.", http.StatusMethodNotAllowed)
		case path == "/graphiql":
			http.Redirect(w, r, "/graphiql/", http.StatusMovedPermanently)
		case path == "/graphiql/":
			servePage(w, endpoint)
		case strings.HasPrefix(path, "/graphiql/assets/") && !strings.HasSuffix(path, "/"):
			h.Set("Cache-Control", "max-age=3600")
			files.ServeHTTP(w, r)
		default:
			http.NotFound(w, r)
		}
	})
}

func servePage(w http.ResponseWriter, endpoint string) {
	nonce := rand.Text()
	h := w.Header()
	h.Set("Content-Security-Policy", fmt.Sprintf(policy, nonce))
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Cache-Control", "no-store")
	_ = index.Execute(w, struct{ Endpoint, Nonce string }{endpoint, nonce}) // nobody is left to tell
}
