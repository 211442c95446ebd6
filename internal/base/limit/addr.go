package limit

import (
	"net/http"
	"net/netip"
	"slices"
	"strings"
)

// hopsMax bounds how many entries of X-Forwarded-For are looked at.
const hopsMax = 16

// ClientAddr gives the address that a request came from: the peer's, or, when
// the peer is a trusted proxy, what X-Forwarded-For says. That header is read
// from its end, because each proxy appends and only the part that trusted
// proxies wrote is true; the first address that is not trusted is the client's.
// The zero Addr stands for a peer without one.
func ClientAddr(r *http.Request, trusted []netip.Prefix) netip.Addr {
	peer, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil {
		return netip.Addr{}
	}
	client := plain(peer.Addr())
	if !isTrusted(client, trusted) {
		return client
	}
	hops := strings.Split(strings.Join(r.Header.Values("X-Forwarded-For"), ","), ",")
	for i, hop := range slices.Backward(hops) {
		addr, err := netip.ParseAddr(strings.TrimSpace(hop))
		if err != nil || len(hops)-i > hopsMax {
			break // whatever stands further left cannot be trusted either
		}
		client = plain(addr)
		if !isTrusted(client, trusted) {
			break
		}
	}
	return client
}

// AddrKey names a client for a rule: an IPv4 address, or the /64 of an IPv6
// address, since whoever has one address of a /64 has all of them.
func AddrKey(addr netip.Addr) string {
	if !addr.IsValid() {
		return "addr:unknown"
	}
	addr = plain(addr)
	if addr.Is4() {
		return "addr:" + addr.String()
	}
	return "addr:" + netip.PrefixFrom(addr, 64).Masked().String()
}

// plain takes off what makes one address look like many.
func plain(addr netip.Addr) netip.Addr { return addr.Unmap().WithZone("") }

func isTrusted(addr netip.Addr, trusted []netip.Prefix) bool {
	return slices.ContainsFunc(trusted, func(p netip.Prefix) bool { return p.Contains(addr) })
}
