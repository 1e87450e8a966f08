package mirror

import (
	"cmp"
	"slices"

	"mailstork/daemon/ledger"
	"mailstork/daemon/letter"
)

// doubt is one destination folder in which messages may have arrived, as it is behind the fence.
type doubt struct {
	Name        string
	Rows        []ledger.Message // intended
	UIDValidity uint32           // 0: the folder is not there any more
	UIDNext     uint32
	UIDs        []uint32          // present, ascending, from the smallest intent's UIDNEXT on
	Known       []uint32          // for which rows of the ledger stand, present or not, ascending
	Unclaimed   map[uint32]digest // present, and nobody's
}

type digest = [letter.DigestSize]byte

// verdict is what a look behind the fence tells.
type verdict struct {
	Landed  []landing
	Never   []ledger.Message // did not take effect: new again
	Unclear []ledger.Message // a message that was there has gone: it may have been this one
}

type landing struct {
	Row   ledger.Message
	Place ledger.Place
}

// judge decides which intended messages have landed. It is pure (L2, L3; reliability model §3.3). Equal messages are
// interchangeable: what counts is how many. A message that nobody can find never landed only if every UID that the
// folder gave away since the intent is accounted for; otherwise its owner may have moved or removed it.
func judge(d doubt) verdict {
	var v verdict
	rest := matchLandings(d, &v)
	missing := d.vanished
	for _, batch := range byBatch(rest) {
		// The server stores all messages of a batch or none, so one that has no room cannot have landed. A message
		// that was given to another row may be one of this batch: equal messages are interchangeable.
		gaps := missing(batch[0].Intent.UIDNext)
		whole := len(batch) == d.sizeOf(batch[0].Intent.Batch)
		switch {
		case d.UIDValidity != batch[0].Place.UIDValidity:
			v.Unclear = append(v.Unclear, batch...)
		case gaps == 0, whole && gaps+d.lookAlikes(batch) < len(batch):
			v.Never = append(v.Never, batch...)
		default:
			v.Unclear = append(v.Unclear, batch...)
		}
	}
	return v
}

// matchLandings gives rows the unclaimed messages with their digest. A row whose intent came later has fewer to
// choose from, so it chooses first, and takes the latest.
func matchLandings(d doubt, v *verdict) (rest []ledger.Message) {
	free := map[digest][]uint32{}
	for _, uid := range d.UIDs {
		if sum, unclaimed := d.Unclaimed[uid]; unclaimed {
			free[sum] = append(free[sum], uid)
		}
	}
	rows := slices.SortedStableFunc(slices.Values(d.Rows), func(a, b ledger.Message) int { return cmp.Compare(b.Intent.UIDNext, a.Intent.UIDNext) })
	for _, row := range rows {
		uids := free[row.Digest]
		lowest := row.Intent.UIDNext
		if row.Place.UIDValidity != d.UIDValidity {
			lowest = 1 // the folder was renumbered: the old UIDNEXT says nothing
		}
		if n := len(uids); n > 0 && uids[n-1] >= lowest {
			free[row.Digest] = uids[:n-1]
			v.Landed = append(v.Landed, landing{row, ledger.Place{UIDValidity: d.UIDValidity, UID: uids[n-1]}})
			continue
		}
		rest = append(rest, row)
	}
	return rest
}

// vanished counts the UIDs from lowest on that were given away and of which nobody knows what they were.
func (d doubt) vanished(lowest uint32) int {
	if d.UIDNext <= lowest {
		return 0
	}
	accounted := map[uint32]bool{}
	for _, uids := range [][]uint32{d.UIDs, d.Known} {
		for _, uid := range uids {
			if uid >= lowest && uid < d.UIDNext {
				accounted[uid] = true
			}
		}
	}
	return int(d.UIDNext-lowest) - len(accounted)
}

// lookAlikes counts the messages that came since a batch's intent, are nobody's, and equal one of the batch.
func (d doubt) lookAlikes(batch []ledger.Message) (n int) {
	for _, uid := range d.UIDs {
		sum, unclaimed := d.Unclaimed[uid]
		if unclaimed && uid >= batch[0].Intent.UIDNext && slices.ContainsFunc(batch, func(m ledger.Message) bool { return m.Digest == sum }) {
			n++
		}
	}
	return n
}

func (d doubt) sizeOf(batch string) (n int) {
	for _, row := range d.Rows {
		if row.Intent.Batch == batch {
			n++
		}
	}
	return n
}

func byBatch(rows []ledger.Message) (batches [][]ledger.Message) {
	index := map[string]int{}
	for _, row := range rows {
		i, found := index[row.Intent.Batch]
		if !found {
			i = len(batches)
			index[row.Intent.Batch] = i
			batches = append(batches, nil)
		}
		batches[i] = append(batches[i], row)
	}
	return batches
}
