package ledger

import (
	"iter"
	"slices"

	"mailstork/daemon/letter"
)

// Rows are the rows of one folder, in less than half the memory of messages: a pass may need those of 100,000 at once.
// They are without Intent and KeptFile. The zero value has none.
type Rows struct {
	folder int64
	all    []packed
	texts  []string // each distinct one once; the empty one first
	index  map[string]uint32

	origins []uint64 // of each; nil while no source has named one, as nearly none does
}

type packed struct {
	digest                                  [letter.DigestSize]byte
	fingerprint                             letter.Fingerprint
	size, date                              int64
	uidValidity, uid                        uint32
	placeUIDValidity, placeUID              uint32
	stage, fate, reason, placeFolder, flags uint32 // of texts
	appended, gone                          bool
}

// RowsOf packs messages of one folder.
func RowsOf(messages ...Message) (r Rows) {
	for _, m := range messages {
		r.Append(m)
	}
	return r
}

// Append adds a message of the same folder.
func (r *Rows) Append(m Message) {
	r.folder = m.FolderID
	r.add(packed{
		digest: m.Digest, fingerprint: m.Fingerprint, size: m.Size, date: m.Date, uidValidity: m.UIDValidity, uid: m.UID,
		placeUIDValidity: m.Place.UIDValidity, placeUID: m.Place.UID,
		stage: r.text([]byte(m.Stage)), fate: r.text([]byte(m.Fate)), reason: r.text([]byte(m.Reason)),
		placeFolder: r.text([]byte(m.Place.Folder)), flags: r.text([]byte(m.Flags)),
		appended: m.Appended, gone: m.SourceGone,
	}, m.Origin)
}

func (r *Rows) add(p packed, origin uint64) {
	r.all = append(r.all, p)
	if r.origins == nil && origin != 0 {
		r.origins = make([]uint64, len(r.all)-1, cap(r.all))
	}
	if r.origins != nil {
		r.origins = append(r.origins, origin)
	}
}

// text is where a text is among texts, and puts it there.
func (r *Rows) text(s []byte) uint32 {
	if r.index == nil {
		r.index, r.texts = map[string]uint32{"": 0}, []string{""}
	}
	if len(s) == 0 {
		return 0
	}
	i, known := r.index[string(s)]
	if !known {
		i = uint32(len(r.texts))
		r.texts = append(r.texts, string(s))
		r.index[r.texts[i]] = i
	}
	return i
}

// Len is the number of rows.
func (r Rows) Len() int { return len(r.all) }

// Key is the identity of row i.
func (r Rows) Key(i int) Key {
	return Key{FolderID: r.folder, UIDValidity: r.all[i].uidValidity, UID: r.all[i].uid}
}

// Gone tells whether the message of row i left the source.
func (r Rows) Gone(i int) bool { return r.all[i].gone }

// Place is where the message of row i is here. Unpacking whole rows to look at one thing took half the time of planning.
func (r Rows) Place(i int) Place {
	p := &r.all[i]
	return Place{Folder: r.texts[p.placeFolder], UIDValidity: p.placeUIDValidity, UID: p.placeUID}
}

// Settled is the fate of row i when nothing about it is in doubt, else empty.
func (r Rows) Settled(i int) Fate {
	p := &r.all[i]
	if Stage(r.texts[p.stage]) != Confirmed {
		return ""
	}
	return Fate(r.texts[p.fate])
}

// Origin is what the source itself calls the letter of row i; 0: it tells nothing.
func (r Rows) Origin(i int) uint64 {
	if r.origins == nil {
		return 0
	}
	return r.origins[i]
}

// At unpacks row i.
func (r Rows) At(i int) Message {
	p := &r.all[i]
	return Message{
		Key: r.Key(i), Stage: Stage(r.texts[p.stage]), Fate: Fate(r.texts[p.fate]), Reason: r.texts[p.reason],
		Place: r.Place(i), Appended: p.appended,
		Digest: p.digest, Fingerprint: p.fingerprint, Size: p.size, Date: p.date, Flags: r.texts[p.flags], SourceGone: p.gone, Origin: r.Origin(i),
	}
}

// All unpacks one row after the other.
func (r Rows) All() iter.Seq[Message] {
	return func(yield func(Message) bool) {
		for i := range r.all {
			if !yield(r.At(i)) {
				return
			}
		}
	}
}

// Messages unpacks all rows.
func (r Rows) Messages() []Message { return slices.Collect(r.All()) }
