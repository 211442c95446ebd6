package merchantsim

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/soukhq/souk/internal/base/jose"
)

const (
	// keysLife is how long Souk's keys are taken for known. Souk publishes a key
	// ten minutes before it uses it, so this finds it in time.
	keysLife = 5 * time.Minute
	// keysPause keeps strangers, who may name any key, from making this server
	// knock at Souk's door all the time.
	keysPause    = time.Second
	keysRetry    = 10 * time.Second // between tries to renew old ones
	keysTimeout  = 5 * time.Second
	maxKeys      = 512 << 10
	maxReply     = 64 << 10
	messageSkew  = time.Minute // how far clocks may differ
	messageLife  = 10 * time.Minute
	keysPath     = "/.well-known/jwks.json"
	callbackPath = "/merchant/confirmations"
)

// errNoKeys says that Souk's keys cannot be had: nothing can be checked now.
var errNoKeys = errors.New("no keys of Souk's can be had")

// soukKeys is what Souk publishes.
type soukKeys struct {
	all     *jose.KeySet
	encrypt *jose.Key
	at      time.Time
}

// souk is the other side.
type souk struct {
	url    string // and issuer
	client *http.Client
	pause  time.Duration

	mu    sync.Mutex // one fetch at a time
	known atomic.Pointer[soukKeys]
}

// keys gives Souk's keys, fetched not long ago. While Souk cannot be reached the
// old ones do: it does not take keys back from one minute to the next.
func (s *souk) keys(ctx context.Context) (*soukKeys, error) {
	k := s.known.Load()
	if k != nil && time.Since(k.at) < keysLife {
		return k, nil
	}
	fresh, err := s.refetch(ctx, k)
	if err != nil && k != nil {
		// Not every order is to wait for a Souk that is away.
		s.known.CompareAndSwap(k, &soukKeys{all: k.all, encrypt: k.encrypt, at: time.Now().Add(keysRetry - keysLife)})
		return k, nil
	}
	return fresh, err
}

// refetch fetches Souk's keys, unless somebody has since the caller saw them.
func (s *souk) refetch(ctx context.Context, saw *soukKeys) (*soukKeys, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if k := s.known.Load(); k != nil && (k != saw || time.Since(k.at) < s.pause) {
		return k, nil
	}
	fresh, err := s.fetch(ctx)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errNoKeys, err)
	}
	s.known.Store(fresh)
	return fresh, nil
}

func (s *souk) fetch(ctx context.Context) (*soukKeys, error) {
	// Others wait for the result: the one who asked first may go.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), keysTimeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, s.url+keysPath, nil)
	if err != nil {
		return nil, err
	}
	resp, err := s.client.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxKeys+1))
	if err != nil {
		return nil, err
	}
	if resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("it answered %d", resp.StatusCode)
	}
	return readKeySet(body)
}

// readKeySet takes the first key that can be encrypted to: Souk puts the one
// that it prefers first.
func readKeySet(body []byte) (*soukKeys, error) {
	all, err := jose.ParseKeySet(body)
	if err != nil {
		return nil, err
	}
	for _, k := range all.Keys() {
		if _, err := k.EncryptionAlgorithm(); err == nil && k.Use == jose.UseEncryption {
			return &soukKeys{all: all, encrypt: k, at: time.Now()}, nil
		}
	}
	return nil, errors.New("there is no key to encrypt to")
}

// open decrypts a message and checks that it is Souk's, for this merchant, and
// in time. A key that is not known may be a new one: then Souk's keys are
// fetched again, once.
func (s *souk) open(ctx context.Context, token string, own *jose.KeySet, merchantID string) (*jose.Token, error) {
	u, err := jose.DecryptParse(token, jose.DecryptOptions{Keys: own, Algorithms: []jose.Algorithm{jose.ECDHESA256KW}, Encryptions: []jose.Encryption{jose.A256GCM}})
	if err != nil {
		return nil, err
	}
	k, err := s.keys(ctx)
	if err != nil {
		return nil, err
	}
	want := jose.VerifyOptions{
		Keys: k.all, Algorithms: []jose.Algorithm{jose.EdDSA, jose.ES256},
		Typ: TypeOrder, Issuer: s.url, Audience: merchantID,
		Now: time.Now(), Leeway: messageSkew, MaxAge: messageLife, MaxLifetime: messageLife,
	}
	t, err := u.Verify(want)
	if !errors.Is(err, jose.ErrUnknownKey) {
		return t, err
	}
	if k, err = s.refetch(ctx, k); err != nil {
		return nil, err
	}
	want.Keys = k.all
	return u.Verify(want)
}

// reply is what Souk says to an answer that was brought to it.
type reply struct {
	status int
	code   string // of a refusal (RFC 9457 §3.2)
	after  time.Duration
}

// delivered tells whether Souk has taken the answer.
func delivered(status int) bool { return status/100 == 2 }

// final tells whether there is nothing to gain by saying it again.
func (r reply) final() bool {
	switch r.status {
	case 0, http.StatusRequestTimeout, http.StatusTooEarly, http.StatusTooManyRequests:
		return false
	}
	return r.status < 500
}

// callBack brings an answer to Souk.
func (s *souk) callBack(ctx context.Context, token string) (reply, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, s.url+callbackPath, strings.NewReader(token))
	if err != nil {
		return reply{}, err
	}
	req.Header.Set("Content-Type", ContentType)
	resp, err := s.client.Do(req)
	if err != nil {
		return reply{}, err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxReply))
	if err != nil {
		return reply{}, err
	}
	var problem struct {
		Code string `json:"code"`
	}
	r := reply{status: resp.StatusCode}
	if !delivered(r.status) && json.Unmarshal(body, &problem) == nil {
		r.code = problem.Code
	}
	if seconds, err := time.ParseDuration(resp.Header.Get("Retry-After") + "s"); err == nil {
		r.after = min(max(seconds, 0), maxRetryWait)
	}
	return r, nil
}
