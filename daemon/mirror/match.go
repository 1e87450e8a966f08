package mirror

import (
	"mailstork/daemon/ledger"
	"mailstork/daemon/letter"
)

// trait is what two sightings of one message have in common.
type trait struct {
	kind        byte
	digest      [letter.DigestSize]byte
	fingerprint letter.Fingerprint
	size, date  int64
	origin      uint64
}

// The kinds of traits keep those of different rules apart.
const (
	byOrigin byte = iota + 1
	byDigest
	byLetterSizeDate
	byLetterSize
	byLetter
	bySizeDate
)

// pairs matches as with bs that have a trait in common, each at most once (multiplicity), in order. It returns the
// rest of both.
func pairs[A, B any](as []A, bs []B, traitA func(A) (trait, bool), traitB func(B) (trait, bool), found func(A, B)) (restA []A, restB []B) {
	if len(as) == 0 || len(bs) == 0 {
		return as, bs
	}
	waiting := map[trait][]int{}
	for i, b := range bs {
		if t, ok := traitB(b); ok {
			waiting[t] = append(waiting[t], i)
		}
	}
	if len(waiting) == 0 {
		return as, bs
	}
	taken := make([]bool, len(bs))
	for _, a := range as {
		t, ok := traitA(a)
		if queue := waiting[t]; ok && len(queue) > 0 {
			waiting[t] = queue[1:]
			taken[queue[0]] = true
			found(a, bs[queue[0]])
			continue
		}
		restA = append(restA, a)
	}
	for i, b := range bs {
		if !taken[i] {
			restB = append(restB, b)
		}
	}
	return restA, restB
}

func messageTrait(kind byte) func(SourceMessage) (trait, bool) {
	return func(m SourceMessage) (trait, bool) {
		switch kind {
		case byOrigin:
			return trait{kind: kind, origin: m.Origin}, m.Origin != 0
		case byDigest:
			return trait{kind: kind, digest: m.Digest}, m.BodyRead
		case bySizeDate:
			return trait{kind: kind, size: m.Size, date: m.Date}, m.Size > 0 && m.Date != 0
		}
		return letterTrait(kind, m.Fingerprint, m.Size, m.Date)
	}
}

func letterTrait(kind byte, fingerprint letter.Fingerprint, size, date int64) (trait, bool) {
	t := trait{kind: kind, fingerprint: fingerprint}
	if kind == byLetterSize || kind == byLetterSizeDate {
		t.size = size
	}
	if kind == byLetterSizeDate {
		t.date = date
	}
	return t, !fingerprint.IsZero()
}

func rowTrait(kind byte) func(ledger.Message) (trait, bool) {
	return func(m ledger.Message) (trait, bool) {
		switch kind {
		case byOrigin:
			return trait{kind: kind, origin: m.Origin}, m.Origin != 0
		case byDigest:
			return trait{kind: kind, digest: m.Digest}, bodyKnown(m)
		case bySizeDate:
			// Size and date alone prove nothing, so they serve only for rows of messages that were never read.
			return trait{kind: kind, size: m.Size, date: m.Date}, !bodyKnown(m) && m.Fingerprint.IsZero()
		}
		return letterTrait(kind, m.Fingerprint, m.Size, m.Date)
	}
}

func foreignTrait(kind byte) func(DestinationMessage) (trait, bool) {
	return func(m DestinationMessage) (trait, bool) {
		if kind == byDigest {
			return trait{kind: kind, digest: m.Digest}, m.BodyRead
		}
		return letterTrait(kind, m.Fingerprint, m.Size, 0)
	}
}

func deliveryTrait(d Delivery) (trait, bool) { return letterTrait(byLetter, d.Fingerprint, 0, 0) }

func bodyKnown(m ledger.Message) bool { return m.Digest != [letter.DigestSize]byte{} }
