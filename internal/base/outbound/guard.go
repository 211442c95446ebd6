package outbound

import (
	"fmt"
	"net/netip"
	"syscall"

	"code.dny.dev/ssrf"
)

// azureWire is Azure's metadata and agent service. Unlike other clouds' it
// sits at an address that no registry reserves, so the list of special
// addresses misses it.
var azureWire = netip.MustParsePrefix("168.63.129.16/32")

// refusal marks the guard's errors, so that they can be told from others after
// they have come up through the dialer and the transport.
type refusal struct{ error }

// guard decides which addresses may be dialled.
type guard struct {
	public   *ssrf.Guardian
	admitted []netip.Prefix
}

func newGuard(admitted []netip.Prefix) *guard {
	return &guard{
		public:   ssrf.New(ssrf.WithAnyPort(), ssrf.WithDeniedV4Prefixes(azureWire)),
		admitted: admitted,
	}
}

// admits tells whether the configuration names the address.
func (g *guard) admits(ip netip.Addr) bool {
	ip = ip.Unmap()
	for _, p := range g.admitted {
		if p.Contains(ip) {
			return true
		}
	}
	return false
}

// check refuses what is neither admitted nor on the public internet. An IPv4
// address in IPv6 clothes (mapped, NAT64, 6to4, Teredo) is never public.
func (g *guard) check(ip netip.Addr) error {
	if g.admits(ip) {
		return nil
	}
	if err := g.public.SafeAddr(ip); err != nil {
		return refusal{err}
	}
	return nil
}

// checkPlain admits plain http only where no network lies between.
func (g *guard) checkPlain(ip netip.Addr) error {
	if !g.admits(ip) {
		return refusal{fmt.Errorf("%s is not admitted for plain http", ip)}
	}
	return nil
}

// atDial makes a check the Control function of a net.Dialer, which the dialer
// calls with each address just before it connects.
func atDial(check func(netip.Addr) error) func(network, address string, _ syscall.RawConn) error {
	return func(_, address string, _ syscall.RawConn) error {
		ap, err := netip.ParseAddrPort(address)
		if err != nil {
			return refusal{err}
		}
		return check(ap.Addr())
	}
}
