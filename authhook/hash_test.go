package authhook

import (
	"context"
	"os/exec"
	"strings"
	"testing"

	"mailstork/daemon/secret"
	"mailstork/test/testbed"
)

func TestOurHashMatchesItsPasswordOnly(t *testing.T) {
	h := newHasher()
	for _, password := range []string{"geheim", "ß \" \\ : {} $", strings.Repeat("x", 900), "\x01\x7f\xff"} {
		hash, err := h.hash(context.Background(), secret.FromString(password))
		if err != nil {
			t.Fatal(err)
		}
		if strings.ContainsAny(hash, ":\n \t") {
			t.Errorf("hash %q does not fit into a passwd-file", hash)
		}
		for candidate, want := range map[string]bool{password: true, password + "x": false, "": false} {
			if got, err := h.matches(context.Background(), hash, secret.FromString(candidate)); got != want || err != nil {
				t.Errorf("matching %q with the hash of %q: got %v, %v; want %v", candidate, password, got, err, want)
			}
		}
	}
}

func TestHashesOfDoveadmAreVerified(t *testing.T) {
	testbed.Need(t, "dovecot")
	h := newHasher()
	for _, scheme := range []string{"ARGON2ID", "BLF-CRYPT", "SHA512-CRYPT"} {
		hash := doveadmHash(t, scheme, "geheim:1")
		for candidate, want := range map[string]bool{"geheim:1": true, "geheim:2": false} {
			if got, err := h.matches(context.Background(), hash, secret.FromString(candidate)); got != want || err != nil {
				t.Errorf("%s: matching %q: got %v, %v; want %v", hash, candidate, got, err, want)
			}
		}
	}
}

func TestDoveadmVerifiesOurHash(t *testing.T) {
	testbed.Need(t, "dovecot")
	hash, err := newHasher().hash(context.Background(), secret.FromString("geheim:1"))
	if err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command("doveadm", "pw", "-t", hash, "-p", "geheim:1").CombinedOutput(); err != nil {
		t.Errorf("doveadm refuses %s: %v: %s", hash, err, out)
	}
	if out, err := exec.Command("doveadm", "pw", "-t", hash, "-p", "other").CombinedOutput(); err == nil {
		t.Errorf("doveadm takes another password: %s", out)
	}
}

func doveadmHash(t *testing.T, scheme, password string) string {
	t.Helper()
	out, err := exec.Command("doveadm", "pw", "-s", scheme, "-p", password).CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	return strings.TrimSpace(string(out))
}

func TestHashesThatCostTooMuchOrMakeNoSenseAreErrorsNotNo(t *testing.T) {
	h := newHasher()
	const argonEnd = "$B8TMObc8+xfY4fJrKJSTuQ$FPOblslg2wvzC7vvZogRF7NAXmgXsJv6F7Rsto6ys3w"
	for _, hash := range []string{
		"", "geheim", "{PLAIN}geheim", "{ARGON2ID}", "{ARGON2ID}$argon2id$", "ARGON2ID}x", "{BLF-CRYPT}x", "{SHA512-CRYPT}$6$",
		"{ARGON2ID}$argon2id$v=19$m=65537,t=1,p=1" + argonEnd,
		"{ARGON2ID}$argon2id$v=19$m=4294967295,t=1,p=1" + argonEnd,
		"{ARGON2ID}$argon2id$v=19$m=0,t=1,p=1" + argonEnd,
		"{ARGON2ID}$argon2id$v=19$m=1024,t=11,p=1" + argonEnd,
		"{ARGON2ID}$argon2id$v=19$m=1024,t=1,p=9" + argonEnd,
		"{ARGON2ID}$argon2id$v=19$m=1024,t=1,p=1,m=4294967295" + argonEnd,
		"{ARGON2ID}$argon2id$v=19,m=4294967295$m=1024,t=1,p=1" + argonEnd,
		"{ARGON2ID}$argon2i$v=19$m=1024,t=1,p=1" + argonEnd,
		"{BLF-CRYPT}$2y$15$bvIG6Nmid91Mu9RcmmWZfO5HJIMCT8riNW0hEp8f6/FuA2/mHZFpe",
		"{SHA512-CRYPT}$6$rounds=500001$salt$" + strings.Repeat("a", 86),
		"{SHA512-CRYPT}$6$salt$" + strings.Repeat("a", 600),
	} {
		if match, err := h.matches(context.Background(), hash, secret.FromString("geheim")); match || err == nil {
			t.Errorf("%q: got %v, %v; want an error", hash, match, err)
		}
	}
}

func TestHashingWaitsForMemoryNoLongerThanItsContext(t *testing.T) {
	h := newHasher()
	if err := h.memory.Acquire(context.Background(), hashMemoryKiB); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := h.hash(ctx, secret.FromString("geheim")); err == nil {
		t.Error("hashed without memory")
	}
}

func BenchmarkHashAndVerify(b *testing.B) {
	h := newHasher()
	for b.Loop() {
		if _, err := h.hash(context.Background(), secret.FromString("geheim")); err != nil {
			b.Fatal(err)
		}
	}
}
