package jose

// nestedType marks a JWE whose content is a signed token (RFC 7519 §5.2).
const nestedType = "JWT"

// EncryptSigned signs payload and seals the result for the holder of a key. The
// signature is inside, so that only he can show who wrote it. The payload should
// name him ("aud"), or he could seal it again for somebody else.
func EncryptSigned(payload []byte, signer *Key, typ string, to *Key) (string, error) {
	signed, err := Sign(payload, signer, typ)
	if err != nil {
		return "", err
	}
	return Encrypt([]byte(signed), to, nestedType)
}

// DecryptParse opens what EncryptSigned made, and takes it apart without
// verifying it, so that the caller can find the keys to verify it with.
func DecryptParse(token string, d DecryptOptions) (*Untrusted, error) {
	d.ContentType = nestedType
	opened, err := Decrypt(token, d)
	if err != nil {
		return nil, err
	}
	return Parse(string(opened.Plaintext))
}

// DecryptVerify opens and verifies what EncryptSigned made.
func DecryptVerify(token string, d DecryptOptions, v VerifyOptions) (*Token, error) {
	u, err := DecryptParse(token, d)
	if err != nil {
		return nil, err
	}
	return u.Verify(v)
}
