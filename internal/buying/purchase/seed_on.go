//go:build seeddoublecharge

package purchase

// seedDoubleCharge makes this build charge twice, now and then. The crash drill
// must not let it pass.
const seedDoubleCharge = true
