package redisx

import (
	"crypto/tls"
	"errors"
	"strings"

	"github.com/redis/go-redis/v9"
)

// errURL repeats nothing of the URL, which holds a password.
var errURL = errors.New("redis.url must be redis://user:password@host:port/number, with rediss:// for TLS, or several hosts by commas and no number for a cluster")

// parse reads a URL. Several hosts are the first addresses of a cluster; no
// parser takes those, so that each is read as a URL of its own.
func parse(text string) (*redis.UniversalOptions, error) {
	scheme, rest, _ := strings.Cut(text, "://")
	if (scheme != "redis" && scheme != "rediss") || strings.ContainsAny(rest, "?#") {
		return nil, errURL
	}
	authority, path := rest, ""
	if slash := strings.IndexByte(rest, '/'); slash >= 0 {
		authority, path = rest[:slash], rest[slash:]
	}
	at := strings.LastIndexByte(authority, '@') + 1
	options := &redis.UniversalOptions{}
	if scheme == "rediss" {
		options.TLSConfig = &tls.Config{MinVersion: tls.VersionTLS12} // each host is checked by the name it is dialled by
	}
	for _, host := range strings.Split(authority[at:], ",") {
		one, err := redis.ParseURL(scheme + "://" + authority[:at] + host + path)
		if err != nil || host == "" {
			return nil, errURL
		}
		options.Addrs = append(options.Addrs, one.Addr)
		options.Username, options.Password, options.DB = one.Username, one.Password, one.DB
	}
	if len(options.Addrs) > 1 && options.DB != 0 { // a cluster has but one database
		return nil, errURL
	}
	return options, nil
}
