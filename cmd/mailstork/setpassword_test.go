package main

import (
	"errors"
	"io"
	"testing"
)

func TestATypedPasswordMustBeTheSameTwice(t *testing.T) {
	for name, c := range map[string]struct {
		typed [2]string
		err   error
		want  string
	}{
		"the same":     {typed: [2]string{"new one", "new one"}, want: "new one"},
		"not the same": {typed: [2]string{"new one", "new 0ne"}},
		"nothing":      {},
		"interrupted":  {err: io.ErrUnexpectedEOF},
	} {
		i := 0
		got, err := askTwice(io.Discard, func() ([]byte, error) {
			i++
			return []byte(c.typed[i-1]), c.err
		})
		if string(got.Reveal()) != c.want || (err == nil) != (c.want != "") || c.err != nil && !errors.Is(err, c.err) {
			t.Errorf("%s: got %v", name, err)
		}
	}
}
