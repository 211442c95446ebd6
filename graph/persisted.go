package graph

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"log/slog"

	lru "github.com/hashicorp/golang-lru/v2"
	"github.com/vektah/gqlparser/v2/gqlerror"

	"github.com/soukhq/souk/internal/base/auth"
)

// PersistedStore shares automatically persisted documents between processes.
// It may forget any of them: the client then sends the text again.
type PersistedStore interface {
	// Get finds the text of a hash; ok is false when it is not there.
	Get(ctx context.Context, hash string) (text string, ok bool, err error)
	// Put keeps the text of a hash.
	Put(ctx context.Context, hash, text string) error
}

// TrustedDocuments is an allow-list of documents, one for each client.
type TrustedDocuments interface {
	// Lookup finds a document of a client by the id that its build gave it, or
	// by "sha256:" and the hash of its text in lower-case hexadecimal. It is
	// asked for every request, so it keeps what it reads.
	Lookup(ctx context.Context, client, id string) (text string, ok bool, err error)
}

// TrustMode says how far the allow-list binds.
type TrustMode string

// The modes of the allow-list.
const (
	TrustOff    TrustMode = "off"    // there is none
	TrustPrefer TrustMode = "prefer" // its ids are known; any other text is taken too
	TrustOnly   TrustMode = "only"   // nothing else runs
)

// persisted finds the text that a request means.
type persisted struct {
	log     *slog.Logger
	mode    TrustMode
	trusted TrustedDocuments
	store   PersistedStore
	recent  *lru.Cache[string, string] // hash to text
}

func newPersisted(cfg *Config) *persisted {
	recent, err := lru.New[string, string](cfg.Limits.Documents)
	if err != nil {
		panic(err) // only a size below one is refused
	}
	return &persisted{log: cfg.Log, mode: cfg.Trust, trusted: cfg.Trusted, store: cfg.Persisted, recent: recent}
}

var (
	// Apollo's clients know this by its text, and send the document again.
	errNotPersisted = fault(codeNotPersisted, "PersistedQueryNotFound")
	errUnknownID    = fault(codeNotPersisted, "There is no trusted document with this id for this client.")
	errWrongHash    = fault(codeValidation, "The document is not the one that sha256Hash names.")
	errUntrusted    = func() *gqlerror.Error {
		err := fault(codeForbidden, "Only trusted documents run here.")
		err.Extensions["reason"] = "TRUSTED_DOCUMENTS_ONLY"
		return err
	}()
)

// find gives the text of the document that a request sends or names.
func (p *persisted) find(ctx context.Context, req *request) (string, error) {
	if p.mode != TrustOff {
		text, known, err := p.lookup(ctx, req)
		if err != nil || known {
			return text, err
		}
	}
	switch {
	case p.mode == TrustOnly && req.query != "":
		return "", errUntrusted
	case req.hash != "" && p.mode != TrustOnly:
		return p.automatic(ctx, req)
	case req.query != "":
		return req.query, nil
	case req.documentID != "":
		return "", errUnknownID
	}
	return "", errNotPersisted
}

// lookup asks the allow-list.
func (p *persisted) lookup(ctx context.Context, req *request) (string, bool, error) {
	id := req.documentID
	switch {
	case id != "":
	case req.query != "" && p.mode == TrustOnly:
		id = "sha256:" + hashOf(req.query)
	case req.query == "" && req.hash != "":
		id = "sha256:" + req.hash
	default:
		return "", false, nil
	}
	text, ok, err := p.trusted.Lookup(ctx, ClientName(ctx), id)
	if err != nil {
		return "", false, err
	}
	return text, ok, nil
}

// automatic is Apollo's protocol of automatic persisted queries.
func (p *persisted) automatic(ctx context.Context, req *request) (string, error) {
	text, ok := p.recent.Get(req.hash)
	switch {
	case req.query != "" && (ok && text == req.query || hashOf(req.query) == req.hash):
		return req.query, nil
	case req.query != "":
		return "", errWrongHash
	case ok:
		return text, nil
	case p.store == nil:
		return "", errNotPersisted
	}
	text, ok, err := p.store.Get(ctx, req.hash)
	if err != nil { // the client's second try, with the text, needs no store
		p.log.WarnContext(ctx, "persisted documents cannot be read", "error", err)
	}
	if err != nil || !ok || hashOf(text) != req.hash {
		return "", errNotPersisted
	}
	p.recent.Add(req.hash, text)
	return text, nil
}

// persistedMax is the longest text that is kept under its hash.
const persistedMax = 16 << 10

// keep remembers a text that came with its hash, once it proved to be valid and
// the gate has let it pass. Those whom nobody knows leave nothing behind: they
// could fill the store.
func (p *persisted) keep(ctx context.Context, req *request) {
	if req.hash == "" || req.query == "" || p.mode == TrustOnly || len(req.query) > persistedMax || p.recent.Contains(req.hash) {
		return
	}
	if auth.FromContext(ctx).Kind == auth.Anonymous {
		return
	}
	p.recent.Add(req.hash, req.query)
	if p.store == nil {
		return
	}
	if err := p.store.Put(ctx, req.hash, req.query); err != nil {
		p.log.WarnContext(ctx, "a persisted document was not kept", "error", err)
	}
}

func hashOf(text string) string {
	sum := sha256.Sum256([]byte(text))
	return hex.EncodeToString(sum[:])
}
