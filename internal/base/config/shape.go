package config

import (
	"errors"
	"fmt"
	"reflect"
	"strings"
	"time"

	"github.com/agnivade/levenshtein"
	"github.com/go-viper/mapstructure/v2"
)

// Keys gives every key that can be set, in the order of the structs.
func Keys() []string { return keysOf(reflect.TypeFor[Config](), "") }

// EnvName gives the name of a key in the environment.
func EnvName(key string) string {
	return envPrefix + strings.ToUpper(strings.ReplaceAll(key, ".", "_"))
}

// checkShape looks for keys that typ does not have and for parts where a plain
// value belongs or the other way round. It never repeats a value.
func checkShape(value any, typ reflect.Type, key string) error {
	switch typ.Kind() {
	case reflect.Struct:
		parts, ok := value.(map[string]any)
		if !ok {
			return fmt.Errorf("%s must have parts", key)
		}
		fields := fieldsOf(typ)
		for name, part := range parts {
			field, known := fields[name]
			if !known {
				return unknown(join(key, name), nearestTo(join(key, name), candidates(typ, key)))
			}
			if err := checkShape(part, field, join(key, name)); err != nil {
				return err
			}
		}
	case reflect.Slice:
		list, ok := value.([]any)
		if !ok {
			return fmt.Errorf("%s must be a list", key)
		}
		for n, one := range list {
			if err := checkShape(one, typ.Elem(), fmt.Sprintf("%s[%d]", key, n)); err != nil {
				return err
			}
		}
	default:
		return checkPlain(value, typ, key)
	}
	return nil
}

// checkPlain tries a value by itself, so that what is wrong is said with the
// key and without the value.
func checkPlain(value any, typ reflect.Type, key string) error {
	target := reflect.New(typ)
	decoder, err := mapstructure.NewDecoder(&mapstructure.DecoderConfig{
		Result: target.Interface(), WeaklyTypedInput: true, DecodeHook: mapstructure.StringToTimeDurationHookFunc(),
	})
	if err == nil {
		err = decoder.Decode(value)
	}
	_, isText := value.(string)
	_, isFraction := value.(float64)
	switch {
	case typ == reflect.TypeFor[time.Duration]() && (err != nil || !isText):
		return errors.New(strings.TrimSpace(key + ` must be a time with its unit, such as "10s"`))
	case err != nil || isFraction: // nothing here is counted in halves
		return errors.New(strings.TrimSpace(key + " must be " + inWords(typ)))
	}
	return nil
}

func inWords(typ reflect.Type) string {
	switch typ.Kind() {
	case reflect.Bool:
		return "true or false"
	case reflect.String:
		return "text"
	}
	return "a whole number"
}

// fieldsOf gives the parts of a struct by their key.
func fieldsOf(typ reflect.Type) map[string]reflect.Type {
	fields := map[string]reflect.Type{}
	for i := range typ.NumField() {
		fields[typ.Field(i).Tag.Get(tag)] = typ.Field(i).Type
	}
	return fields
}

// keysOf gives the keys below typ in the order of the structs.
func keysOf(typ reflect.Type, above string) []string {
	if typ.Kind() != reflect.Struct {
		return []string{above}
	}
	var keys []string
	for i := range typ.NumField() {
		keys = append(keys, keysOf(typ.Field(i).Type, join(above, typ.Field(i).Tag.Get(tag)))...)
	}
	return keys
}

// typeOf gives the type of a known key.
func typeOf(key string) reflect.Type {
	typ := reflect.TypeFor[Config]()
	for _, part := range strings.Split(key, ".") {
		typ = fieldsOf(typ)[part]
	}
	return typ
}

// candidates are the keys that somebody may have meant who wrote an unknown one
// in typ: its own parts, and all others, as a key may stand on a wrong level.
func candidates(typ reflect.Type, key string) []string {
	names := append(Keys(), keysOf(typ, key)...)
	for name := range fieldsOf(typ) {
		names = append(names, join(key, name))
	}
	return names
}

func unknown(key, near string) error {
	if key == near { // "http.addr: …" in a file
		return fmt.Errorf("%s must be written as parts below one another", key)
	}
	return fmt.Errorf("%s is not known; the nearest is %s", key, near)
}

func nearestTo(name string, known []string) string {
	near, _ := nearest(name, known)
	return near
}

// nearest finds the known name that takes the fewest changes of a letter.
func nearest(name string, known []string) (near string, distance int) {
	distance = int(^uint(0) >> 1)
	for _, candidate := range known {
		if d := levenshtein.ComputeDistance(name, candidate); d < distance {
			near, distance = candidate, d
		}
	}
	return near, distance
}

func join(above, name string) string {
	if above == "" {
		return name
	}
	return above + "." + name
}
