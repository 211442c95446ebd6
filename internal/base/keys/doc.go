// Package keys holds Souk's own keys: those that sign tokens and orders, and
// those that others encrypt to.
//
// Keys lie in the database, their private halves sealed and bound to their row.
// Every process of an installation therefore has the same keys, and a new one
// comes into being when the first process needs it.
//
// # The life of a key
//
// [Keys.Rotate] makes a successor. It is published at once and used a while
// later (use_from), when everybody who keeps a copy of the published set has had
// time to fetch it. The one before stays published, and is accepted, until what
// was made with it has been read (retire_at); then only [Keys.Prune] finds it.
//
// A key's row is named after its predecessor's, so that a key has one successor
// at most: two processes that rotate at once, or both make the very first key,
// end with the same one.
//
// Beside the keys lie secrets that never leave Souk and never change, such as
// the one behind buyers' pseudonyms.
//
// Times are the live clock's: those who fetch the keys know no sandbox.
package keys
