package graphiql

import (
	"crypto/sha256"
	"encoding/hex"
	"io/fs"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"
)

func get(method, path string) *httptest.ResponseRecorder {
	w := httptest.NewRecorder()
	Handler("/graphql").ServeHTTP(w, httptest.NewRequest(method, path, nil))
	return w
}

func TestHandler(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		method, path string
		status       int
		typ          string
	}{
		{"GET", "/graphiql", 301, ""},
		{"GET", "/graphiql/", 200, "text/html; charset=utf-8"},
		{"HEAD", "/graphiql/", 200, "text/html; charset=utf-8"},
		{"GET", "/graphiql/assets/start.js", 200, "text/javascript; charset=utf-8"},
		{"GET", "/graphiql/assets/graphiql.min.css", 200, "text/css; charset=utf-8"},
		{"GET", "/graphiql/assets/LICENSES.txt", 200, "text/plain; charset=utf-8"},
		{"GET", "/graphiql/assets/", 404, ""},
		{"GET", "/graphiql/graphiql.go", 404, ""},
		{"GET", "/graphiql/assets/../graphiql.go", 404, ""},
		{"POST", "/graphiql/", 405, ""},
	} {
		w := get(test.method, test.path)
		if w.Code != test.status || (test.typ != "" && w.Header().Get("Content-Type") != test.typ) {
			t.Errorf("%s %s: %d %s", test.method, test.path, w.Code, w.Header().Get("Content-Type"))
		}
	}
}

func TestPage_Policy(t *testing.T) {
	t.Parallel()
	one, two := get("GET", "/graphiql/"), get("GET", "/graphiql/")
	csp := one.Header().Get("Content-Security-Policy")
	if csp == two.Header().Get("Content-Security-Policy") {
		t.Error("a nonce is used twice")
	}
	for _, loose := range []string{"unsafe", "*", "http", "data: ;"} {
		if strings.Contains(csp, loose) {
			t.Errorf("the policy is loose: %s", csp)
		}
	}
	nonce := regexp.MustCompile(`data-nonce="([A-Z2-7]+)"`).FindStringSubmatch(one.Body.String())
	if nonce == nil || !strings.Contains(csp, "'nonce-"+nonce[1]+"'") {
		t.Errorf("the page has the nonce %v, the policy is %s", nonce, csp)
	}
	if !strings.Contains(one.Body.String(), `data-endpoint="/graphql"`) {
		t.Error("the page does not name its endpoint")
	}
}

// TestPage_LoadsNothingFromOutside looks at all that a browser would load.
func TestPage_LoadsNothingFromOutside(t *testing.T) {
	t.Parallel()
	for _, ref := range regexp.MustCompile(`(?:src|href)="([^"]*)"`).FindAllStringSubmatch(page, -1) {
		if _, err := fs.Stat(assets, ref[1]); err != nil && ref[1] != "data:," {
			t.Errorf("the page refers to %s", ref[1])
		}
	}
	css, err := fs.ReadFile(assets, "assets/graphiql.min.css")
	if err != nil {
		t.Fatal(err)
	}
	for _, ref := range regexp.MustCompile(`url\(\s*["']?([^"')]{0,40})|@import`).FindAllStringSubmatch(string(css), -1) {
		if !strings.HasPrefix(ref[1], "data:") {
			t.Errorf("a style refers to %s", ref[0])
		}
	}
	for _, name := range []string{"start.js", "start.css"} {
		own, err := fs.ReadFile(assets, "assets/"+name)
		if err != nil {
			t.Fatal(err)
		}
		if regexp.MustCompile(`https?:|["']//|import\(`).Match(own) {
			t.Errorf("%s refers to the outside", name)
		}
	}
}

// TestAssets_Pinned holds the published files to what was published.
func TestAssets_Pinned(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]string{
		"graphiql.min.js":             "867226ba8af5ce7949903fc53932f78dac9f4bfc6cc8da0fd3869b8bc6c5256b",
		"graphiql.min.css":            "30487e07635d312a63f647b140d37740a73c53332b0975bf4b1fe985ca6ec885",
		"react.production.min.js":     "4b4969fa4ef3594324da2c6d78ce8766fbbc2fd121fff395aedf997db0a99a06",
		"react-dom.production.min.js": "21758ed084cd0e37e735722ee4f3957ea960628a29dfa6c3ce1a1d47a2d6e4f7",
	} {
		data, err := fs.ReadFile(assets, "assets/"+name)
		if err != nil {
			t.Fatal(err)
		}
		if sum := sha256.Sum256(data); hex.EncodeToString(sum[:]) != want {
			t.Errorf("%s is another file", name)
		}
	}
}
