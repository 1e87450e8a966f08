package checkpassword

import (
	"bytes"
	"errors"
	"fmt"
	"io"

	"mailstork/daemon/secret"
)

// maxOctets is what the interface allows for name, password and the rest together.
const maxOctets = 4096

// Request is what stands on file descriptor 3: "user NUL password NUL rest".
type Request struct {
	User     string
	Password secret.Secret
}

// Read reads up to the second NUL and no further.
func Read(r io.Reader) (Request, error) {
	buffer := make([]byte, 0, maxOctets)
	defer func() { clear(buffer[:cap(buffer)]) }()
	for bytes.Count(buffer, []byte{0}) < 2 {
		if len(buffer) == cap(buffer) {
			return Request{}, fmt.Errorf("reading user and password: they are longer than %d octets", maxOctets)
		}
		n, err := r.Read(buffer[len(buffer):cap(buffer)])
		buffer = buffer[:len(buffer)+n]
		if errors.Is(err, io.EOF) && bytes.Count(buffer, []byte{0}) < 2 {
			return Request{}, errors.New("reading user and password: they end before the second NUL")
		}
		if err != nil && !errors.Is(err, io.EOF) {
			return Request{}, fmt.Errorf("reading user and password: %w", err)
		}
	}
	user, rest, _ := bytes.Cut(buffer, []byte{0})
	password, _, _ := bytes.Cut(rest, []byte{0})
	return Request{User: string(user), Password: secret.New(password)}, nil
}
