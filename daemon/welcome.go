package daemon

import (
	"mailstork/daemon/account"
	"mailstork/daemon/mirror"
	"mailstork/daemon/notice"
)

// ownersLetter lets the mirror write to the owner of an account.
type ownersLetter struct {
	domain  account.Domain
	account account.Account
}

func (l ownersLetter) Letter(revision int, s mirror.Standing) ([]byte, error) {
	kind := notice.Moving
	if s.Complete {
		kind = notice.Here
	}
	return notice.Letter{To: l.account.Address, Sender: l.domain.NoticeSender(), Language: l.domain.LanguageOf(l.account), Kind: kind,
		Revision: revision, At: s.At, Facts: notice.Facts{Copied: s.Copied, Messages: s.Messages, LeftOut: s.LeftOut,
			Folders: s.Folders, FoldersLeft: s.FoldersLeft}}.Compose()
}

func (l ownersLetter) Revision(messageID string) (int, bool) {
	return notice.Revision(l.account.Address, messageID)
}

// welcomes tells whether an owner may get the first letter: no pass has ended since the first login here. Whoever was here
// before the domain began to welcome people is not told what he knows.
func welcomes(domain account.Domain, a account.Account) bool {
	return domain.Notice.Welcome && a.Switched() && !a.LastPassAt.After(a.SwitchedAt)
}
