// Package app wires Souk together: it opens what the configuration names, builds
// every service once, and runs them. It is the only place that sees all.
package app
