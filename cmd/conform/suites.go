package main

import (
	"encoding/json"
	"fmt"
	"os"
)

// suite answers one vector.
type suite func(vector []byte) any

// suites is what can be asked. A suite that is not here is skipped.
var suites = map[string]suite{
	"jws":                    read(jws),
	"jwe":                    read(jwe),
	"standard-webhooks":      read(standardWebhooks),
	"wycheproof-ed25519":     read(ed25519),
	"wycheproof-es256":       read(es256),
	"wycheproof-hmac-sha256": read(hmacSHA256),
}

// verdict is the answer where nothing else comes out.
type verdict struct {
	Valid bool `json:"valid"`
}

// skipped is the answer for what Souk has no use for.
type skipped struct {
	Skip bool `json:"skip"`
}

var (
	invalid = verdict{}
	skip    = skipped{Skip: true}
)

// answer runs one vector. A panic is a fault of Souk's package, and the vectors
// must show it as a wrong answer of its own, not lose the ones that follow.
func answer(line []byte) (reply any) {
	defer func() {
		if p := recover(); p != nil {
			fmt.Fprintln(os.Stderr, "conform: a package panicked:", p)
			reply = invalid
		}
	}()
	var vector struct {
		Suite string `json:"suite"`
	}
	if len(line) > maxLine || json.Unmarshal(line, &vector) != nil || vector.Suite == "" {
		return invalid
	}
	if run, ok := suites[vector.Suite]; ok {
		return run(line)
	}
	return skip
}

// read makes a suite of a function over the vector's fields.
func read[T any](run func(T) any) suite {
	return func(vector []byte) any {
		var fields T
		if json.Unmarshal(vector, &fields) != nil {
			return invalid
		}
		return run(fields)
	}
}
