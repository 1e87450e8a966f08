package store

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"

	"mailstork/daemon/account"
)

// KindPassword is the credential kind of a plain password for the source.
const KindPassword = "password"

// SaveCredential keeps a sealed credential (secret.Sealer) of an account; an older one is replaced, and that the source
// refused it is forgotten.
func (s *Store) SaveCredential(ctx context.Context, tx *sql.Tx, accountID int64, kind string, sealed []byte) error {
	_, err := tx.ExecContext(ctx, upsertCredential, accountID, kind, sealed, milliseconds(s.now()))
	if err == nil {
		_, err = tx.ExecContext(ctx, `UPDATE account SET credential_refused = 0 WHERE account_id = $1`, accountID)
	}
	if err != nil {
		return fmt.Errorf("storing credential of account %d: %w", accountID, err)
	}
	return nil
}

// Credential returns the sealed credential of an account, or ErrNotFound.
func (s *Store) Credential(ctx context.Context, accountID int64, kind string) ([]byte, error) {
	var sealed []byte
	err := s.read.QueryRowContext(ctx, selectCredential, accountID, kind).Scan(&sealed)
	if err != nil {
		return nil, fmt.Errorf("reading credential of account %d: %w", accountID, notFound(err))
	}
	return sealed, nil
}

// EraseCredentials deletes all credentials of an account inside tx. Their octets are overwritten (secure_delete);
// EraseTraces empties the write-ahead log after the commit.
func (s *Store) EraseCredentials(ctx context.Context, tx *sql.Tx, accountID int64) error {
	if _, err := tx.ExecContext(ctx, `DELETE FROM credential WHERE account_id = $1`, accountID); err != nil {
		return fmt.Errorf("erasing credentials of account %d: %w", accountID, err)
	}
	return nil
}

// CountCredentials returns how many credentials a domain's accounts still have.
func (s *Store) CountCredentials(ctx context.Context, domainID int64) (n int, err error) {
	err = s.read.QueryRowContext(ctx, selectCredentialCount, domainID).Scan(&n)
	if err != nil {
		return 0, fmt.Errorf("counting credentials of domain %d: %w", domainID, err)
	}
	return n, nil
}

// KindDomain is the kind under which the secret of a SourceLogin is sealed, with the domain's number.
const KindDomain = "domain"

// SaveDomainCredential keeps what opens all accounts of a domain; an older one is replaced.
func (s *Store) SaveDomainCredential(ctx context.Context, domainID int64, login account.SourceLogin, sealed []byte) error {
	text, err := json.Marshal(login)
	if err == nil {
		err = s.Write(ctx, func(tx *sql.Tx) error {
			_, err := tx.ExecContext(ctx, upsertDomainCredential, domainID, login.Kind, string(text), sealed, milliseconds(s.now()))
			return err
		})
	}
	if err != nil {
		return fmt.Errorf("storing credential of domain %d: %w", domainID, err)
	}
	return nil
}

// DomainCredential returns what SaveDomainCredential kept, or ErrNotFound. MoveDomain erases it when the domain closes.
func (s *Store) DomainCredential(ctx context.Context, domainID int64) (login account.SourceLogin, sealed []byte, err error) {
	var text string
	if err = s.read.QueryRowContext(ctx, selectDomainCredential, domainID).Scan(&text, &sealed); err == nil {
		err = json.Unmarshal([]byte(text), &login)
	}
	if err != nil {
		return login, nil, fmt.Errorf("reading credential of domain %d: %w", domainID, notFound(err))
	}
	return login, sealed, nil
}

// EraseDomainCredential deletes it at once, octets included.
func (s *Store) EraseDomainCredential(ctx context.Context, domainID int64) error {
	err := s.Write(ctx, func(tx *sql.Tx) error { return eraseDomainCredential(ctx, tx, domainID) })
	if err != nil {
		return fmt.Errorf("erasing credential of domain %d: %w", domainID, err)
	}
	return s.EraseTraces(ctx)
}

func eraseDomainCredential(ctx context.Context, tx *sql.Tx, domainID int64) error {
	_, err := tx.ExecContext(ctx, `DELETE FROM domain_credential WHERE domain_id = $1`, domainID)
	return err
}
