package account

import (
	"errors"
	"testing"
)

func TestOnlyPublicAddressesMayBeDialled(t *testing.T) {
	for _, address := range []string{
		"127.0.0.1:993", "0.0.0.0:993", "[::1]:993", "[::]:993", "[::ffff:127.0.0.1]:993",
		"10.1.2.3:993", "172.16.0.1:993", "192.168.1.1:993", "169.254.169.254:80", "100.64.0.1:1",
		"[fe80::1]:1", "[fe80::1%eth0]:1", "[fd00::1]:1", "[::ffff:10.0.0.1]:1", "224.0.0.1:1", "255.255.255.255:1",
	} {
		var private *PrivateAddressError
		if err := RefusePrivate("tcp", address, nil); !errors.As(err, &private) {
			t.Errorf("%s: got %v, want a refusal", address, err)
		}
	}
	for _, address := range []string{"192.0.2.1:993", "[2001:db8::1]:993"} {
		if err := RefusePrivate("tcp", address, nil); err != nil {
			t.Errorf("%s: %v", address, err)
		}
	}
}
