package redisx

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestParse(t *testing.T) {
	t.Parallel()
	type want struct {
		Addrs          []string
		User, Password string
		DB             int
		TLS            bool
	}
	tests := map[string]want{
		"redis://localhost":                {Addrs: []string{"localhost:6379"}},
		"redis://h:7/3":                    {Addrs: []string{"h:7"}, DB: 3},
		"redis://h/":                       {Addrs: []string{"h:6379"}},
		"rediss://u:p%40%2F@h:7":           {Addrs: []string{"h:7"}, User: "u", Password: "p@/", TLS: true},
		"redis://:p@[::1]:7":               {Addrs: []string{"[::1]:7"}, Password: "p"},
		"redis://[::1]":                    {Addrs: []string{"[::1]:6379"}},
		"redis://a,b:7,c":                  {Addrs: []string{"a:6379", "b:7", "c:6379"}},
		"rediss://u:p@a:1,b:2,[fd00::1]:3": {Addrs: []string{"a:1", "b:2", "[fd00::1]:3"}, User: "u", Password: "p", TLS: true},
	}
	for url, expected := range tests {
		options, err := parse(url)
		if err != nil {
			t.Errorf("%s: %v", url, err)
			continue
		}
		got := want{options.Addrs, options.Username, options.Password, options.DB, options.TLSConfig != nil}
		if diff := cmp.Diff(expected, got); diff != "" {
			t.Errorf("%s: %s", url, diff)
		}
	}
}

func TestParse_Refusals(t *testing.T) {
	t.Parallel()
	for _, url := range []string{
		"", "localhost:6379", "unix:///x", "http://u:hunter2@h", "redis://h/x", "redis://u:hunter2@a,b/1", "redis://u:hunter2@a,,b",
		"redis://u:hunter2@h:port", "redis://u:hunter2@h?db=1", "redis://u:hunter2@h#x", "redis://u:hunter2%@h", "redis://u:hunter2@a,b:c:d", "redis://u:hunter2@",
	} {
		options, err := parse(url)
		if err == nil {
			t.Errorf("%s was taken: %v", url, options.Addrs)
		} else if strings.Contains(err.Error(), "hunter2") {
			t.Errorf("a password shows: %v", err)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add("rediss://u:p@a:1,b:2,[fd00::1]:3/4")
	f.Fuzz(func(t *testing.T, text string) {
		options, err := parse(text)
		if err == nil && (len(options.Addrs) == 0 || len(options.Addrs) > 1 && options.DB != 0) {
			t.Errorf("%q gave %v", text, options)
		}
	})
}
