package graph

import (
	"context"
	"encoding/json"
	"errors"
	"net/url"
	"strings"
	"sync"
	"testing"
)

// fakeStore is a PersistedStore that can fail.
type fakeStore struct {
	mu    sync.Mutex
	texts map[string]string
	gets  int
	down  bool
}

func (f *fakeStore) Get(_ context.Context, hash string) (string, bool, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.gets++
	if f.down {
		return "", false, errors.New("store is away")
	}
	text, ok := f.texts[hash]
	return text, ok, nil
}

func (f *fakeStore) Put(_ context.Context, hash, text string) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.down {
		return errors.New("store is away")
	}
	f.texts[hash] = text
	return nil
}

func apq(query, hash string) string {
	body := map[string]any{"extensions": map[string]any{"persistedQuery": map[string]any{"version": 1, "sha256Hash": hash}}}
	if query != "" {
		body["query"] = query
	}
	data, _ := json.Marshal(body)
	return string(data)
}

func TestPersisted_Automatic(t *testing.T) {
	t.Parallel()
	store := &fakeStore{texts: map[string]string{}}
	one := setup(t, func(c *Config) { c.Persisted, c.Verifier = store, fakeVerifier{} })
	two := setup(t, func(c *Config) { c.Persisted = store })
	const query = "{ hello }"
	hash := hashOf(query)

	r := one.post(apq("", hash))
	if r.status != 400 || r.code() != codeNotPersisted || r.Errors[0].Message != "PersistedQueryNotFound" {
		t.Fatal("unknown:", r.status, r.body)
	}
	if r := one.do("POST", one.url, apq("", hash), "Content-Type", typeJSON); r.status != 200 || r.code() != codeNotPersisted {
		t.Fatal("unknown, for an older client:", r.status, r.body)
	}
	if r := one.post(apq(query, hash)); r.status != 200 || len(store.texts) != 0 {
		t.Fatal("from nobody, who leaves nothing behind:", r.body, store.texts)
	}
	if r := one.do("POST", one.url, apq(query, hash), "Content-Type", typeJSON, "Authorization", "Bearer alice"); r.status != 200 {
		t.Fatal("with its text:", r.body)
	}
	for name, b := range map[string]*testBundle{"here": one, "in another process": two} {
		if r := b.post(apq("", hash)); r.status != 200 || r.Data["hello"] != "world" {
			t.Errorf("known %s: %d %s", name, r.status, r.body)
		}
	}
	gets := store.gets
	ext := `{"persistedQuery":{"version":1,"sha256Hash":"` + hash + `"}}`
	if r := two.do("GET", two.url+"?extensions="+url.QueryEscape(ext), ""); r.status != 200 || store.gets != gets {
		t.Error("by GET:", r.status, r.body)
	}
	store.down = true
	three := setup(t, func(c *Config) { c.Persisted = store })
	if r := three.post(apq("", hash)); r.code() != codeNotPersisted {
		t.Error("the store is away:", r.body)
	}
	if r := three.post(apq(query, hash)); r.status != 200 {
		t.Error("the store is away, with the text:", r.body)
	}
}

func TestPersisted_Refusals(t *testing.T) {
	t.Parallel()
	store := &fakeStore{texts: map[string]string{}}
	b := setup(t, func(c *Config) { c.Persisted = store })
	hash := hashOf("{hello}")
	for name, body := range map[string]string{
		"another text":   apq("{ hello }", hash),
		"capitals":       apq("{hello}", strings.ToUpper(hash)),
		"short":          apq("{hello}", hash[1:]),
		"version":        `{"query":"{hello}","extensions":{"persistedQuery":{"version":2,"sha256Hash":"` + hash + `"}}}`,
		"not an object":  `{"query":"{hello}","extensions":{"persistedQuery":"` + hash + `"}}`,
		"hash no string": `{"query":"{hello}","extensions":{"persistedQuery":{"version":1,"sha256Hash":1}}}`,
		"invalid":        apq("{nothing}", hashOf("{nothing}")),
	} {
		if r := b.post(body); r.status != 400 || r.code() != codeValidation {
			t.Errorf("%s: %d %s", name, r.status, r.body)
		}
	}
	if len(store.texts) != 0 {
		t.Error("kept:", store.texts)
	}
	store.texts[hash] = "mutation {heavy}" // whoever can write to the store cannot change what a hash means
	if r := b.post(apq("", hash)); r.code() != codeNotPersisted {
		t.Error("a store that lies:", r.body)
	}
}

func TestTrusted(t *testing.T) {
	t.Parallel()
	const query, hidden = "query Q { hello }", "query H { a: hello }"
	list, err := ReadTrusted(strings.NewReader(`{
		"chat": {"` + hashOf(query) + `": "` + query + `"},
		"shop": {"purchase-7": "` + hidden + `"}
	}`))
	if err != nil {
		t.Fatal(err)
	}
	trust := func(mode TrustMode) func(*Config) {
		return func(c *Config) { c.Trust, c.Trusted = mode, list }
	}
	only, prefer, off := setup(t, trust(TrustOnly)), setup(t, trust(TrustPrefer)), setup(t, nil)
	const chat, shop = "chat", "shop"
	text := func(q string) string { return `{"query":"` + q + `"}` }
	for _, test := range []struct {
		name         string
		b            *testBundle
		client, body string
		status       int
		code         string
	}{
		{"by documentId", only, chat, `{"documentId":"sha256:` + hashOf(query) + `"}`, 200, ""},
		{"by bare hash", only, chat, `{"documentId":"` + hashOf(query) + `"}`, 200, ""},
		{"as Relay names it", only, shop, `{"id":"purchase-7"}`, 200, ""},
		{"as Relay once named it", only, shop, `{"doc_id":"purchase-7"}`, 200, ""},
		{"by the hash of its text", only, shop, `{"documentId":"sha256:` + hashOf(hidden) + `"}`, 200, ""},
		{"as Apollo names it", only, chat, apq("", hashOf(query)), 200, ""},
		{"its whole text", only, chat, text(query), 200, ""},
		{"text and hash", only, chat, apq(query, hashOf(query)), 200, ""},
		{"another text", only, chat, text("{hello}"), 403, codeForbidden},
		{"another text with its hash", only, chat, apq("{hello}", hashOf("{hello}")), 403, codeForbidden},
		{"another client's text", only, chat, text(hidden), 403, codeForbidden},
		{"another client's id", only, chat, `{"id":"purchase-7"}`, 400, codeNotPersisted},
		{"no client", only, "", `{"id":"purchase-7"}`, 400, codeNotPersisted},
		{"unknown hash", only, chat, apq("", hashOf("{hello}")), 400, codeNotPersisted},
		{"prefer: by id", prefer, shop, `{"id":"purchase-7"}`, 200, ""},
		{"prefer: as Apollo names it", prefer, chat, apq("", hashOf(query)), 200, ""},
		{"prefer: another text", prefer, chat, text("{hello}"), 200, ""},
		{"prefer: unknown id", prefer, chat, `{"id":"nothing"}`, 400, codeNotPersisted},
		{"off: by id", off, shop, `{"id":"purchase-7"}`, 400, codeNotPersisted},
	} {
		r := test.b.post(test.body, "GraphQL-Client-Name", test.client)
		if r.status != test.status || r.code() != test.code {
			t.Errorf("%s: %d %s", test.name, r.status, r.body)
		}
	}
	if r := only.post(text("{hello}"), "GraphQL-Client-Name", chat); r.Errors[0].Extensions["reason"] != "TRUSTED_DOCUMENTS_ONLY" {
		t.Error(r.body)
	}
	if r := only.post(apq("{hello}", hashOf("{hello}")), "GraphQL-Client-Name", chat); r.status != 403 {
		t.Error("registered:", r.body)
	}
	if r := only.post(`{"id":"purchase-7"}`, "Apollographql-Client-Name", shop); r.status != 200 {
		t.Error("a client that Apollo names:", r.body)
	}
}

func TestReadTrusted_Refusals(t *testing.T) {
	t.Parallel()
	for _, bad := range []string{``, `[]`, `{"chat": ["{hello}"]}`, `{"chat": {"id": ""}}`, `{"chat": {"` + hashOf("{a}") + `": "{b}"}}`, `{"": {"id": "{a}"}}`} {
		if _, err := ReadTrusted(strings.NewReader(bad)); err == nil {
			t.Errorf("%s is read", bad)
		}
	}
}
