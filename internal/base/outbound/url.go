package outbound

import (
	"errors"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
)

const urlMax = 2048

// ValidateURL tells whether a URL may be registered: its form, its port, and
// its address when it names one instead of a host. It asks no DNS server, whose
// answer could differ by the time the URL is used; Do checks the address then.
func (c *Client) ValidateURL(raw string) error {
	_, err := c.parseURL(raw)
	return err
}

func (c *Client) parseURL(raw string) (*url.URL, error) {
	u, err := parseURL(raw)
	if err == nil {
		err = c.checkScheme(u)
	}
	if err == nil {
		err = checkPort(u)
	}
	if err != nil {
		return nil, &Error{Reason: ErrInvalidURL, Err: err}
	}
	if ip, err := netip.ParseAddr(u.Hostname()); err == nil {
		if err := c.checkFor(u.Scheme)(ip); err != nil {
			return nil, &Error{Reason: ErrRefusedAddress, Err: err}
		}
	}
	return u, nil
}

// parseURL reads an absolute URL with nothing in it that two parsers could
// understand differently.
func parseURL(raw string) (*url.URL, error) {
	if len(raw) > urlMax {
		return nil, errors.New("longer than 2048 bytes")
	}
	for i := range len(raw) {
		if raw[i] <= ' ' || raw[i] >= 0x7f || raw[i] == '\\' {
			return nil, errors.New("write it in printable ASCII (a host in Punycode, a path percent-encoded)")
		}
	}
	if strings.Contains(raw, "#") {
		return nil, errors.New("has a fragment")
	}
	u, err := url.Parse(raw)
	switch {
	case err != nil:
		return nil, errors.New("malformed") // the parser's error repeats the URL
	case u.User != nil:
		return nil, errors.New("has a user name or password")
	case !validHost(u.Hostname()):
		return nil, errors.New("has no valid host")
	}
	return u, nil
}

func (c *Client) checkScheme(u *url.URL) error {
	if u.Scheme == "https" || u.Scheme == "http" && c.cfg.AllowHTTP {
		return nil
	}
	return errors.New("must begin with https://")
}

// checkPort leaves out the ports where servers of other protocols listen.
func checkPort(u *url.URL) error {
	text := u.Port()
	if text == "" && !strings.HasSuffix(u.Host, ":") {
		return nil
	}
	port, err := strconv.ParseUint(text, 10, 16)
	standard := map[string]uint64{"http": 80, "https": 443}[u.Scheme]
	if err != nil || port < 1024 && port != standard {
		return errors.New("port must be the scheme's own or 1024 to 65535")
	}
	return nil
}

// validHost accepts an IP address or a DNS name (RFC 1123 §2.1, and underscores,
// which are in use). A name whose last label looks like a number is refused: some
// resolvers read "127.1" or "0x7f000001" as an address.
func validHost(host string) bool {
	if ip, err := netip.ParseAddr(host); err == nil {
		return ip.Zone() == ""
	}
	labels := strings.Split(host, ".")
	for _, l := range labels {
		if !validLabel(l) {
			return false
		}
	}
	last := labels[len(labels)-1]
	return len(host) <= 253 && (last[0] < '0' || last[0] > '9')
}

func validLabel(l string) bool {
	if l == "" || len(l) > 63 || l[0] == '-' || l[len(l)-1] == '-' {
		return false
	}
	for _, r := range l {
		switch {
		case 'a' <= r && r <= 'z', 'A' <= r && r <= 'Z', '0' <= r && r <= '9', r == '-', r == '_':
		default:
			return false
		}
	}
	return true
}
