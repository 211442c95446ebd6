// Package outbound is the only way out: the one HTTP client for every address
// that somebody else chose (product servers, webhook endpoints, JWKS of
// merchants and issuers).
//
// Such an address is an attack until proven otherwise, so the client
//
//   - checks the address that is dialled, after the name was resolved and for
//     every address tried, so that a name that changes its mind between check
//     and use (DNS rebinding) gains nothing;
//   - refuses private, link-local, shared, translated and metadata addresses,
//     unless the configuration admits them by name;
//   - follows no redirect, keeps no cookie, asks no proxy, undoes no compression;
//   - puts a limit on the address, the request, the headers, the body, the
//     connections and the time;
//   - leaves a host alone for a while that keeps failing.
//
// It says what is known after a failure: [NotSent] tells a request that never
// left from one whose outcome only the other party knows. Whoever moves money
// must treat the latter as "perhaps".
//
// Retrying, signing and the record of attempts belong to the callers.
package outbound
