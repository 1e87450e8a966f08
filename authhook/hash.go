package authhook

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/go-crypt/crypt/algorithm"
	"github.com/go-crypt/crypt/algorithm/argon2"
	"github.com/go-crypt/crypt/algorithm/bcrypt"
	"github.com/go-crypt/crypt/algorithm/shacrypt"
	"golang.org/x/sync/semaphore"

	"mailstork/daemon/secret"
)

// What a new hash costs. 19 MiB and two passes are OWASP's least for Argon2id; Dovecot verifies inside its one auth
// process, where they take some 25 ms of a small machine's CPU: about 40 logins a second, where doveadm's own default
// (64 MiB, three passes) allows 8 and takes three times the memory.
const (
	newHashKiB    = 19 * 1024
	newHashPasses = 2
)

// What a stored hash may cost to verify; imported hashes may be dearer than ours, but not a way to exhaust the machine.
const (
	hashMemoryKiB   = 64 * 1024 // also what all verifications together may take
	leastHashKiB    = 4 * 1024  // share of a hash that takes little memory: bounds how many run at once
	maxArgonPasses  = 10
	maxArgonThreads = 8
	maxBcryptCost   = 14
	maxSHARounds    = 500_000
	maxHashOctets   = 512
)

var errHashFormat = errors.New("it is not {ARGON2ID}, {BLF-CRYPT} or {SHA512-CRYPT} as Dovecot writes them")

// hasher makes and verifies password hashes with bounded memory.
type hasher struct {
	memory *semaphore.Weighted
	kib    uint32 // of a new hash
	passes int
}

func newHasher() *hasher {
	return &hasher{memory: semaphore.NewWeighted(hashMemoryKiB), kib: newHashKiB, passes: newHashPasses}
}

// hash returns "{ARGON2ID}…" with a random salt, as Dovecot's passwd-file takes it.
func (h *hasher) hash(ctx context.Context, password secret.Secret) (string, error) {
	maker, err := argon2.New(argon2.WithVariantID(), argon2.WithM(h.kib), argon2.WithT(h.passes), argon2.WithP(1))
	if err != nil {
		return "", fmt.Errorf("hashing password: %w", err)
	}
	if err := h.memory.Acquire(ctx, int64(h.kib)); err != nil {
		return "", fmt.Errorf("hashing password: waiting for memory: %w", err)
	}
	defer h.memory.Release(int64(h.kib))
	digest, err := maker.Hash(string(password.Reveal()))
	if err != nil {
		return "", fmt.Errorf("hashing password: %w", err)
	}
	return "{ARGON2ID}" + digest.Encode(), nil
}

// matches tells whether stored is a hash of password.
func (h *hasher) matches(ctx context.Context, stored string, password secret.Secret) (bool, error) {
	digest, kib, err := decodeHash(stored)
	if err != nil {
		return false, fmt.Errorf("reading stored password hash: %w", err)
	}
	if err := h.memory.Acquire(ctx, kib); err != nil {
		return false, fmt.Errorf("verifying password: waiting for memory: %w", err)
	}
	defer h.memory.Release(kib)
	match, err := digest.MatchBytesAdvanced(password.Reveal())
	if err != nil {
		return false, fmt.Errorf("verifying password: %w", err)
	}
	return match, nil
}

// decodeHash also returns the memory to reserve while the hash is verified.
func decodeHash(stored string) (digest algorithm.Digest, kib int64, err error) {
	scheme, encoded, found := strings.Cut(strings.TrimPrefix(stored, "{"), "}")
	if !found || !strings.HasPrefix(stored, "{") || len(encoded) > maxHashOctets {
		return nil, 0, errHashFormat
	}
	kib = leastHashKiB
	switch strings.ToUpper(scheme) {
	case "ARGON2ID":
		if kib, err = argonMemory(encoded); err == nil {
			digest, err = argon2.DecodeVariant(argon2.VariantID)(encoded)
		}
	case "BLF-CRYPT":
		if err = checkBcrypt(encoded); err == nil {
			digest, err = bcrypt.DecodeVariant(bcrypt.VariantStandard)(encoded)
		}
	case "SHA512-CRYPT":
		if err = checkSHA512(encoded); err == nil {
			digest, err = shacrypt.DecodeVariant(shacrypt.VariantSHA512)(encoded)
		}
	default:
		return nil, 0, errHashFormat
	}
	return digest, kib, err
}

// argonMemory checks "$argon2id$v=19$m=19456,t=2,p=1$salt$key" and returns m.
func argonMemory(encoded string) (int64, error) {
	parts := strings.Split(encoded, "$")
	if len(parts) != 6 || parts[1] != "argon2id" || parts[2] != "v=19" {
		return 0, errHashFormat
	}
	var m, t, p int64
	const form = "m=%d,t=%d,p=%d"
	// Rendered again, since the decoder would also take a second, different m.
	if _, err := fmt.Sscanf(parts[3], form, &m, &t, &p); err != nil || fmt.Sprintf(form, m, t, p) != parts[3] {
		return 0, errHashFormat
	}
	switch {
	case m < 8 || m > hashMemoryKiB:
		return 0, fmt.Errorf("it needs %d KiB of memory; up to %d are allowed", m, hashMemoryKiB)
	case t < 1 || t > maxArgonPasses || p < 1 || p > maxArgonThreads:
		return 0, fmt.Errorf("t=%d, p=%d are outside of 1 to %d and 1 to %d", t, p, maxArgonPasses, maxArgonThreads)
	}
	return max(m, leastHashKiB), nil
}

// checkBcrypt checks "$2y$05$saltandkey".
func checkBcrypt(encoded string) error {
	parts := strings.Split(encoded, "$")
	if len(parts) != 4 || len(parts[1]) != 2 || parts[1][0] != '2' {
		return errHashFormat
	}
	cost, err := strconv.Atoi(parts[2])
	if err != nil {
		return errHashFormat
	}
	if cost < 4 || cost > maxBcryptCost {
		return fmt.Errorf("cost %d is not between 4 and %d", cost, maxBcryptCost)
	}
	return nil
}

// checkSHA512 checks "$6$salt$key" and "$6$rounds=5000$salt$key".
func checkSHA512(encoded string) error {
	parts := strings.Split(encoded, "$")
	if len(parts) < 4 || len(parts) > 5 || parts[1] != "6" {
		return errHashFormat
	}
	if len(parts) == 4 {
		return nil
	}
	rounds, err := strconv.Atoi(strings.TrimPrefix(parts[2], "rounds="))
	if err != nil {
		return errHashFormat
	}
	if rounds < 1000 || rounds > maxSHARounds {
		return fmt.Errorf("%d rounds are not between 1000 and %d", rounds, maxSHARounds)
	}
	return nil
}
