package config_test

import (
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/soukhq/souk/internal/base/config"
)

func TestLoad_NothingSet(t *testing.T) {
	t.Parallel()
	got, err := config.Load(config.Source{})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(config.Default(false), got); diff != "" {
		t.Error(diff)
	}
	if got.Production() || !got.Identity.EmbeddedIssuer {
		t.Error("the embedded default needs no settings")
	}
}

func TestLoad_FlagBeatsEnvironmentBeatsFile(t *testing.T) {
	t.Parallel()
	path := write(t, `
http:
  addr: 127.0.0.1:1
  read_timeout: 7s
  max_body_bytes: 4096
log:
  # level: debug
limits:
  user: {count: 5, per: 1s}
`)
	got, err := config.Load(config.Source{
		Env:   []string{"SOUK_CONFIG=" + path, "SOUK_HTTP_ADDR=127.0.0.1:2", "SOUK_HTTP_READ_TIMEOUT=8s", "SOUK_LIMITS_ENABLED=false", "HOME=/"},
		Flags: map[string]string{"http.addr": "127.0.0.1:3"},
	})
	if err != nil {
		t.Fatal(err)
	}
	want := config.Default(false)
	want.HTTP.Addr = "127.0.0.1:3"
	want.HTTP.ReadTimeout = 8 * time.Second
	want.HTTP.MaxBodyBytes = 4096
	want.Limits.Enabled = false
	want.Limits.User.Count, want.Limits.User.Per = 5, time.Second
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestLoad_ListsFromTheEnvironment(t *testing.T) {
	t.Parallel()
	got, err := config.Load(config.Source{Env: []string{
		"SOUK_HTTP_CORS_ORIGINS=https://a.example, https://b.example",
		`SOUK_HTTP_WS_ORIGINS=["https://c.example"]`,
		"SOUK_OUTBOUND_ALLOW_ADDRESSES=127.0.0.2,10.0.0.0/8",
		`SOUK_IDENTITY_ISSUERS=[{"url": "https://id.example/", "audience": "souk"}]`,
	}})
	if err != nil {
		t.Fatal(err)
	}
	want := config.Default(false)
	want.HTTP.CORSOrigins = []string{"https://a.example", "https://b.example"}
	want.HTTP.WSOrigins = []string{"https://c.example"}
	want.Outbound.AllowAddresses = []string{"127.0.0.2", "10.0.0.0/8"}
	want.Identity.Issuers = []config.Issuer{{URL: "https://id.example/", Audience: "souk"}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

// production is the least that a PostgreSQL database asks for.
func production() map[string]string {
	return map[string]string{
		"database.url":      "postgres://souk:hunter2@db.example:5432/souk",
		"redis.url":         "redis://default:hunter2@a.example:6379,b.example:6379/0",
		"http.public_url":   "https://souk.example",
		"seal.keyset_file":  "/etc/souk/keyset.json",
		"identity.issuers":  `[{url: "https://id.example", audience: souk}]`,
		"identity.audience": "souk",
	}
}

func TestLoad_Production(t *testing.T) {
	t.Parallel()
	got, err := config.Load(config.Source{Flags: production()})
	if err != nil {
		t.Fatal(err)
	}
	if !got.Production() || got.Identity.EmbeddedIssuer || got.GraphQL.Introspection || got.GraphQL.Explorer ||
		got.Identity.DefaultSandbox != 0 || got.Worker.Inline {
		t.Errorf("these are not the defaults of production: %+v", got)
	}
}

func TestLoad_Refusals(t *testing.T) {
	t.Parallel()
	without := func(key string) map[string]string {
		flags := production()
		delete(flags, key)
		return flags
	}
	with := func(key, value string) map[string]string {
		flags := production()
		flags[key] = value
		return flags
	}
	tests := map[string]struct {
		from config.Source
		says string
	}{
		"embedded issuer in production": {config.Source{Flags: with("identity.embedded_issuer", "true")}, "identity.embedded_issuer cannot be on"},
		"no issuer in production":       {config.Source{Flags: without("identity.issuers")}, "identity.issuers needs"},
		"no keyset in production":       {config.Source{Flags: without("seal.keyset_file")}, "seal.keyset_file is needed"},
		"no public URL in production":   {config.Source{Flags: without("http.public_url")}, "http.public_url is needed"},
		"no Redis for workers apart":    {config.Source{Flags: without("redis.url")}, "redis.url is needed"},
		"issuer over plain http":        {config.Source{Flags: with("identity.issuers", `[{url: "http://id.example", audience: souk}]`)}, "identity.issuers[0].url must begin with https://"},
		"issuer without audience":       {config.Source{Flags: with("identity.issuers", `[{url: "https://id.example"}]`)}, "identity.issuers[0].audience must not be empty"},
		"issuer twice":                  {config.Source{Flags: with("identity.issuers", `[{url: "https://a.example", audience: a}, {url: "https://a.example", audience: b}]`)}, "identity.issuers[1].url is there twice"},
		"public URL with a path":        {config.Source{Flags: with("http.public_url", "https://souk.example/x")}, "http.public_url must be https://host"},
		"another database":              {config.Source{Flags: with("database.url", "mysql://u:hunter2@h/d")}, "database.url must be postgres://"},
		"database without a name":       {config.Source{Flags: with("database.url", "postgres://u:hunter2@h")}, "database.url must be postgres://"},
		"database URL out of shape":     {config.Source{Flags: with("database.url", "postgres://u:hunter2@h:x/d")}, "database.url must be postgres://"},
		"another queue":                 {config.Source{Flags: with("redis.url", "amqp://u:hunter2@h")}, "redis.url must begin with redis://"},
		"origin with a path":            {config.Source{Env: []string{"SOUK_HTTP_CORS_ORIGINS=https://a.example/"}}, "http.cors_origins must hold origins"},
		"proxy by name":                 {config.Source{Env: []string{"SOUK_HTTP_TRUSTED_PROXIES=lb.example"}}, "http.trusted_proxies must hold addresses"},
		"resolver without a port":       {config.Source{Env: []string{"SOUK_OUTBOUND_RESOLVER=127.0.0.1"}}, "outbound.resolver must be host:port"},
		"time without a unit":           {config.Source{Env: []string{"SOUK_HTTP_READ_TIMEOUT=10"}}, `SOUK_HTTP_READ_TIMEOUT: must be a time with its unit`},
		"empty switch":                  {config.Source{Env: []string{"SOUK_LIMITS_ENABLED="}}, "SOUK_LIMITS_ENABLED: must not be empty"},
		"word for a number":             {config.Source{Env: []string{"SOUK_LIMITS_USER_COUNT=many"}}, "SOUK_LIMITS_USER_COUNT: must be a whole number"},
		"no time at all":                {config.Source{Env: []string{"SOUK_WORKER_POLL_EVERY=0s"}}, "worker.poll_every must be a time above 0"},
		"sandbox out of range":          {config.Source{Env: []string{"SOUK_IDENTITY_DEFAULT_SANDBOX=1048576"}}, "identity.default_sandbox must be between 0 and 1048575"},
		"wait beyond the request":       {config.Source{Env: []string{"SOUK_PURCHASE_INLINE_WAIT=1m"}}, "purchase.inline_wait must be shorter"},
		"trusting nothing":              {config.Source{Env: []string{"SOUK_GRAPHQL_TRUSTED_ONLY=true"}}, "graphql.trusted_only needs trusted_documents"},
		"slip in a variable":            {config.Source{Env: []string{"SOUK_HTTP_ADDRS=x"}}, "did you mean SOUK_HTTP_ADDR?"},
		"unknown flag":                  {config.Source{Flags: map[string]string{"http.adr": "x"}}, "http.adr is not known; the nearest is http.addr"},
		"no such file":                  {config.Source{File: "/nowhere/souk.yaml"}, "/nowhere/souk.yaml"},
		"broken list":                   {config.Source{Env: []string{"SOUK_IDENTITY_ISSUERS=[{"}}, "SOUK_IDENTITY_ISSUERS: must be a list"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			refused(t, test.from, test.says)
		})
	}
}

func TestLoad_FileRefusals(t *testing.T) {
	t.Parallel()
	tests := map[string]struct{ file, says string }{
		"unknown section":      {"htpp: {addr: x}", "htpp is not known; the nearest is http"},
		"unknown key":          {"http: {addrs: x}", "http.addrs is not known; the nearest is http.addr"},
		"key on a wrong level": {"max_conns: 3", "max_conns is not known; the nearest is"},
		"unknown in a list":    {"identity: {issuers: [{uri: x}]}", "identity.issuers[0].uri is not known; the nearest is identity.issuers[0].url"},
		"dots":                 {"http.addr: x", "http.addr must be written as parts"},
		"value for a section":  {"database: postgres://u:hunter2@h/d", "database must have parts"},
		"section for a value":  {"database: {url: {a: hunter2}}", "database.url must be text"},
		"value for a list":     {"http: {cors_origins: hunter2}", "http.cors_origins must be a list"},
		"half a number":        {"limits: {user: {count: 1.5}}", "limits.user.count must be a whole number"},
		"number for a time":    {"http: {read_timeout: 10}", "http.read_timeout must be a time with its unit"},
		"no YAML":              {"http: [", "yaml"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			refused(t, config.Source{File: write(t, test.file)}, test.says)
		})
	}
}

func TestLoad_SaysAllFaultsAtOnce(t *testing.T) {
	t.Parallel()
	_, err := config.Load(config.Source{Flags: map[string]string{"log.level": "loud", "log.format": "xml", "http.addr": "x", "data.dir": ""}})
	for _, key := range []string{"log.level", "log.format", "http.addr", "data.dir"} {
		if err == nil || !strings.Contains(err.Error(), key) {
			t.Errorf("%s is missing in: %v", key, err)
		}
	}
}

func TestLoad_LeavesForeignVariablesAlone(t *testing.T) {
	t.Parallel()
	if _, err := config.Load(config.Source{Env: []string{"SOUK_PORT=tcp://10.0.0.1:80", "SOUK_TEST_REDIS_URL=x", "SOUK_SERVICE_HOST=x"}}); err != nil {
		t.Error(err)
	}
}

func TestRedacted(t *testing.T) {
	t.Parallel()
	c, err := config.Load(config.Source{Flags: production()})
	if err != nil {
		t.Fatal(err)
	}
	before := c
	text, err := c.Redacted()
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(text, "hunter2") {
		t.Errorf("a password shows:\n%s", text)
	}
	if diff := cmp.Diff(before, c); diff != "" {
		t.Errorf("printing changed the configuration: %s", diff)
	}
	again, err := config.Load(config.Source{File: write(t, text)})
	if err != nil {
		t.Fatalf("what is printed cannot be read: %v\n%s", err, text)
	}
	if got, _ := again.Redacted(); got != text {
		t.Errorf("what is printed reads otherwise: %s", cmp.Diff(text, got))
	}
}

func TestRedacted_OddURLs(t *testing.T) {
	t.Parallel()
	for _, url := range []string{
		"postgres://u:hunter2@h/d",
		"postgres://u:hunter2/x@h/d",
		"postgres://u:hunter2@x@h/d",
		"postgres://u:@hunter2@h/d",
		"postgres://h/d?user=u&password=hunter2&sslmode=disable",
		"postgres://h/d?sslpassword=hunter2",
		"rediss://:hunter2@a:1,b:2,c:3",
	} {
		c := config.Default(false)
		c.Database.URL, c.Redis.URL = url, url
		text, err := c.Redacted()
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(text, "hunter2") {
			t.Errorf("%s shows its password:\n%s", url, text)
		}
	}
	plain := config.Default(false)
	plain.Database.URL = "postgres://u@h:5432/d?sslmode=disable"
	if text, _ := plain.Redacted(); !strings.Contains(text, plain.Database.URL) {
		t.Errorf("a URL without a secret was changed:\n%s", text)
	}
}

func TestKeys_EveryFieldHasOne(t *testing.T) {
	t.Parallel()
	var walk func(typ reflect.Type)
	walk = func(typ reflect.Type) {
		if typ.Kind() == reflect.Slice {
			typ = typ.Elem()
		}
		if typ.Kind() != reflect.Struct {
			return
		}
		for i := range typ.NumField() {
			if typ.Field(i).Tag.Get("yaml") == "" {
				t.Errorf("%s.%s has no key", typ.Name(), typ.Field(i).Name)
			}
			walk(typ.Field(i).Type)
		}
	}
	walk(reflect.TypeFor[config.Config]())
	names := map[string]bool{}
	for _, key := range config.Keys() {
		name := config.EnvName(key)
		if names[name] {
			t.Errorf("two keys are called %s", name)
		}
		names[name] = true
	}
	if !slices.Contains(config.Keys(), "identity.issuers") || !names["SOUK_PID_FILE"] {
		t.Errorf("keys are missing: %v", config.Keys())
	}
}

// refused loads what must fail, and checks that no secret is in what it says.
func refused(t *testing.T, from config.Source, says string) {
	t.Helper()
	_, err := config.Load(from)
	if err == nil || !strings.Contains(err.Error(), says) {
		t.Fatalf("got %v\nwant %s", err, says)
	}
	if strings.Contains(err.Error(), "hunter2") {
		t.Errorf("a password shows: %v", err)
	}
}

func write(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "souk.yaml")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}
