// Package graphiql serves the API explorer from files that are part of the
// binary: the page loads nothing from any other place.
//
// The files under assets/ are the published builds of graphiql 4.1.2 and of
// react and react-dom 18.2.0, unchanged, with their licences in LICENSES.txt;
// start.js and start.css are Souk's own.
package graphiql

import (
	"bytes"
	"embed"
	"html/template"
	"net/http"
	"strings"
)

//go:embed assets
var assets embed.FS

//go:embed index.html
var page string

// policy lets the page run its own scripts, draw, and talk to its own server,
// and nothing else. GraphiQL sets styles from scripts, hence unsafe-inline
// there.
const policy = "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; " +
	"font-src data:; img-src 'self' data:; connect-src 'self'; " +
	"base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

// Handler serves the explorer of an endpoint under /graphiql/.
func Handler(endpoint string) http.Handler {
	var index bytes.Buffer
	if err := template.Must(template.New("page").Parse(page)).Execute(&index, endpoint); err != nil {
		panic(err) // the page is part of the binary
	}
	files := http.StripPrefix("/graphiql/", http.FileServerFS(assets))
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Content-Security-Policy", policy)
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Referrer-Policy", "no-referrer")
		switch path := r.URL.Path; {
		case r.Method != http.MethodGet && r.Method != http.MethodHead:
			h.Set("Allow", "GET, HEAD")
			http.Error(w, "This method is not served.", http.StatusMethodNotAllowed)
		case path == "/graphiql":
			http.Redirect(w, r, "/graphiql/", http.StatusMovedPermanently)
		case path == "/graphiql/":
			h.Set("Content-Type", "text/html; charset=utf-8")
			h.Set("Cache-Control", "no-cache")
			_, _ = w.Write(index.Bytes()) // nobody is left to tell
		case strings.HasPrefix(path, "/graphiql/assets/") && !strings.HasSuffix(path, "/"):
			h.Set("Cache-Control", "max-age=3600")
			files.ServeHTTP(w, r)
		default:
			http.NotFound(w, r)
		}
	})
}
