// Package testkit gives tests what they stand on: throw-away databases of a
// real PostgreSQL and Redis, and helpers to wait and to find leaks.
//
// The servers come from scripts/with-services, which `make test` starts. A test
// that needs one fails without it; it never skips, so that a green run always
// means that both engines were tried.
package testkit
