package store

import (
	"context"
	"database/sql"
	"fmt"
)

// KindPassword is the credential kind of a plain password for the source.
const KindPassword = "password"

// SaveCredential keeps a sealed credential (secret.Sealer) of an account; an older one is replaced.
func (s *Store) SaveCredential(ctx context.Context, tx *sql.Tx, accountID int64, kind string, sealed []byte) error {
	_, err := tx.ExecContext(ctx, upsertCredential, accountID, kind, sealed, milliseconds(s.now()))
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
