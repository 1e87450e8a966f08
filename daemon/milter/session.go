package milter

import (
	"net"
	"net/textproto"
	"strings"
	"time"

	gomilter "github.com/emersion/go-milter"

	"mailstork/daemon/account"
	"mailstork/daemon/letter"
)

// maxRecipients bounds what one letter can make us keep; Postfix takes 1000 (smtpd_recipient_limit).
const maxRecipients = 5000

// session follows one SMTP session, letter after letter. Every answer is Continue: on any other one the library
// would replace the session in mid-air, and Postfix would get a decision that is not ours to make.
type session struct {
	take       func(Letter)
	now        func() time.Time
	identity   letter.Identity
	recipients []account.Address // with extension, as Postfix keeps them apart
	queueID    string
}

var _ gomilter.Milter = (*session)(nil)

func (s *session) reset() {
	s.identity, s.recipients, s.queueID = letter.Identity{}, nil, ""
}

// noteQueueID keeps the macro i: it is empty at the first recipient, and every packet of macros replaces the last.
func (s *session) noteQueueID(m *gomilter.Modifier) {
	if id := m.Macros["i"]; id != "" {
		s.queueID = id
	}
}

func (s *session) Connect(string, string, uint16, net.IP, *gomilter.Modifier) (gomilter.Response, error) {
	return gomilter.RespContinue, nil
}

func (s *session) Helo(string, *gomilter.Modifier) (gomilter.Response, error) {
	return gomilter.RespContinue, nil
}

// MailFrom follows an Abort always: RSET and a lost client may reach us as Abort or not at all, so frameConn puts one
// before every MAIL.
func (s *session) MailFrom(_ string, m *gomilter.Modifier) (gomilter.Response, error) {
	return gomilter.RespContinue, nil
}

// RcptTo sees the envelope as the client typed it, before alias expansion; rejected recipients are not shown.
func (s *session) RcptTo(recipient string, m *gomilter.Modifier) (gomilter.Response, error) {
	s.noteQueueID(m)
	if len(s.recipients) < maxRecipients {
		// An address that we can't parse can't be an account of ours.
		if address, err := account.ParseAddress(recipient); err == nil {
			s.recipients = append(s.recipients, address)
		}
	}
	return gomilter.RespContinue, nil
}

func (s *session) Header(name, value string, m *gomilter.Modifier) (gomilter.Response, error) {
	s.noteQueueID(m)
	// The library joins name and value by cutting at NUL; the value itself is kept as it came.
	s.identity.Set(strings.TrimRight(name, " \t"), value)
	return gomilter.RespContinue, nil
}

func (s *session) Headers(textproto.MIMEHeader, *gomilter.Modifier) (gomilter.Response, error) {
	return gomilter.RespContinue, nil
}

func (s *session) BodyChunk([]byte, *gomilter.Modifier) (gomilter.Response, error) {
	return gomilter.RespContinue, nil
}

// Body is the end of the message: Postfix has it whole and waits for us before it tells the client.
func (s *session) Body(m *gomilter.Modifier) (gomilter.Response, error) {
	s.noteQueueID(m)
	finished := Letter{
		Fingerprint: s.identity.Fingerprint(),
		Recipients:  distinct(s.recipients),
		QueueID:     s.queueID,
		ReceivedAt:  s.now(),
	}
	s.reset()
	s.take(finished)
	return gomilter.RespContinue, nil
}

func (s *session) Abort(*gomilter.Modifier) error {
	s.reset()
	return nil
}

// distinct drops repeated recipients, as Postfix does, and then the extensions. Two extensions of one address are
// two deliveries: Dovecot stores two messages.
func distinct(recipients []account.Address) []account.Address {
	seen := make(map[account.Address]bool, len(recipients))
	var accounts []account.Address
	for _, recipient := range recipients {
		if !seen[recipient] {
			seen[recipient] = true
			accounts = append(accounts, recipient.WithoutExtension())
		}
	}
	return accounts
}
