package config

import (
	"errors"
	"fmt"
	"os"
	"reflect"
	"strings"

	"github.com/go-viper/mapstructure/v2"
	"github.com/knadh/koanf/parsers/yaml"
	"github.com/knadh/koanf/providers/confmap"
	"github.com/knadh/koanf/providers/file"
	"github.com/knadh/koanf/v2"
	yamlv3 "go.yaml.in/yaml/v3"
)

// FileEnv names the variable that holds the path of the file.
const FileEnv = "SOUK_CONFIG"

const (
	envPrefix = "SOUK_"
	tag       = "yaml"
)

// Source is where values come from.
type Source struct {
	File  string            // a YAML file; empty: the one that SOUK_CONFIG names, if any
	Env   []string          // NAME=value, as os.Environ gives them
	Flags map[string]string // values by key, as "http.addr"; they win over all else
}

// Load gathers and validates the configuration.
func Load(from Source) (Config, error) {
	env := environment(from.Env)
	if from.File == "" {
		from.File = env[FileEnv]
	}
	all := koanf.New(".")
	steps := []func() error{
		func() error { return loadFile(all, from.File) },
		func() error { return loadEnv(all, env) },
		func() error { return loadValues(all, from.Flags, func(key string) string { return key }) },
	}
	for _, step := range steps {
		if err := step(); err != nil {
			return Config{}, err
		}
	}
	c := Default(Database{URL: all.String("database.url")}.IsPostgres())
	if err := decode(all, &c); err != nil {
		return Config{}, err
	}
	return c, c.Validate()
}

func loadFile(all *koanf.Koanf, path string) error {
	if path == "" {
		return nil
	}
	k := koanf.New(".")
	if err := k.Load(file.Provider(path), yaml.Parser()); err != nil {
		return fmt.Errorf("configuration file %s: %w", path, err)
	}
	values := k.Raw()
	dropEmpty(values)
	if err := checkShape(values, reflect.TypeFor[Config](), ""); err != nil {
		return fmt.Errorf("configuration file %s: %w", path, err)
	}
	return all.Load(confmap.Provider(values, ""), nil)
}

// dropEmpty removes keys without a value, such as a section whose lines are all
// comments: they leave the defaults as they are.
func dropEmpty(values map[string]any) {
	for key, value := range values {
		switch value := value.(type) {
		case nil:
			delete(values, key)
		case map[string]any:
			dropEmpty(value)
		}
	}
}

// loadEnv takes the variables that name a key. Others with our prefix are left
// alone, since platforms make such (Kubernetes sets SOUK_PORT beside a service
// named souk), unless they look like a slip of the pen.
func loadEnv(all *koanf.Koanf, env map[string]string) error {
	keys, names := map[string]string{}, []string{}
	for _, key := range Keys() {
		keys[EnvName(key)] = key
		names = append(names, EnvName(key))
	}
	values := map[string]string{}
	for name, value := range env {
		if key, known := keys[name]; known {
			values[key] = value
		} else if near, distance := nearest(name, names); name != FileEnv && distance <= 2 {
			return fmt.Errorf("environment: %s is not known; did you mean %s?", name, near)
		}
	}
	return loadValues(all, values, EnvName)
}

// loadValues takes values that are text. A list may be written with commas, and
// whatever has parts of its own as YAML or JSON.
func loadValues(all *koanf.Koanf, values map[string]string, called func(key string) string) error {
	kinds := map[string]reflect.Type{}
	for _, key := range Keys() {
		kinds[key] = typeOf(key)
	}
	parsed := map[string]any{}
	for key, text := range values {
		kind, known := kinds[key]
		if !known {
			return unknown(called(key), called(nearestTo(key, Keys())))
		}
		value, err := parse(text, kind)
		if err == nil {
			err = checkShape(value, kind, "")
		}
		if err != nil {
			return fmt.Errorf("%s: %w", called(key), err)
		}
		parsed[key] = value
	}
	return all.Load(confmap.Provider(parsed, "."), nil)
}

func parse(text string, kind reflect.Type) (any, error) {
	switch {
	case text == "" && kind.Kind() != reflect.Slice && kind.Kind() != reflect.String:
		return nil, errors.New("must not be empty")
	case kind.Kind() != reflect.Slice:
		return text, nil
	case text == "":
		return []any{}, nil
	case strings.HasPrefix(text, "[") || kind.Elem().Kind() == reflect.Struct:
		var list []any
		if err := yamlv3.Unmarshal([]byte(text), &list); err != nil {
			return nil, errors.New("must be a list in YAML or JSON")
		}
		return list, nil
	}
	var list []any
	for _, one := range strings.Split(text, ",") {
		list = append(list, strings.TrimSpace(one))
	}
	return list, nil
}

// decode writes what was set over the defaults.
func decode(all *koanf.Koanf, c *Config) error {
	return all.UnmarshalWithConf("", c, koanf.UnmarshalConf{
		Tag: tag,
		DecoderConfig: &mapstructure.DecoderConfig{
			Result:           c,
			TagName:          tag,
			WeaklyTypedInput: true, // the environment has only text
			ZeroFields:       true, // a list replaces the default list
			DecodeHook:       mapstructure.StringToTimeDurationHookFunc(),
		},
	})
}

// environment gives the variables with our prefix.
func environment(list []string) map[string]string {
	env := map[string]string{}
	for _, line := range list {
		if name, value, ok := strings.Cut(line, "="); ok && strings.HasPrefix(name, envPrefix) {
			env[name] = value
		}
	}
	return env
}

// FromProcess is the source of a command: this process' environment, a file
// that a flag may name, and the flags.
func FromProcess(path string, flags map[string]string) Source {
	return Source{File: path, Env: os.Environ(), Flags: flags}
}
