//go:build !seeddoublecharge

package purchase

// seedDoubleCharge is off in every build but the one with which the crash drill
// proves that it would notice (seed_on.go).
const seedDoubleCharge = false
