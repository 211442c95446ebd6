package config

import (
	"reflect"
	"regexp"
	"strings"

	yamlv3 "go.yaml.in/yaml/v3"
)

// mask stands where a secret was.
const mask = "********"

// secretParam finds query parameters that carry secrets, as PostgreSQL's
// drivers take them.
var secretParam = regexp.MustCompile(`(?i)([?&](?:[^=&]*)(?:password|secret|token|key)(?:[^=&]*)=)[^&#]*`)

// Redacted gives the configuration as YAML, as a file may hold it, with every
// secret replaced.
func (c Config) Redacted() (string, error) {
	redact(reflect.ValueOf(&c).Elem())
	text, err := yamlv3.Marshal(c)
	return string(text), err
}

// redact replaces the secrets in every text below v. It copies lists, which
// would otherwise be shared with the original.
func redact(v reflect.Value) {
	switch v.Kind() {
	case reflect.Struct:
		for i := range v.NumField() {
			redact(v.Field(i))
		}
	case reflect.Slice:
		list := reflect.MakeSlice(v.Type(), v.Len(), v.Len())
		reflect.Copy(list, v)
		for i := range list.Len() {
			redact(list.Index(i))
		}
		v.Set(list)
	case reflect.String:
		v.SetString(redactText(v.String()))
	}
}

// redactText hides the password of a URL. It looks at the text alone and hides
// too much rather than too little: what no parser takes, such as a password with
// an unescaped slash, must not be shown either.
func redactText(s string) string {
	scheme, rest, isURL := strings.Cut(s, "://")
	if !isURL {
		return s
	}
	if at := strings.LastIndex(rest, "@"); at >= 0 {
		if user, _, has := strings.Cut(rest[:at], ":"); has {
			rest = user + ":" + mask + rest[at:]
		}
	}
	return scheme + "://" + secretParam.ReplaceAllString(rest, "${1}"+mask)
}
