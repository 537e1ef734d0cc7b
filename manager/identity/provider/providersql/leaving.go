package providersql

import (
	"context"
	"database/sql"

	"odcm"
	"odcm/kit/db"
	"odcm/manager/identity/provider"
)

// Leaving implements [provider.Store].
func (s *Store) Leaving(ctx context.Context, id odcm.ProviderID) (provider.Leaving, error) {
	return leaving(ctx, s.db.Read(), id)
}

// leaving reads the tables of identities and groups, which identitysql and groupsql keep in the same database.
func leaving(ctx context.Context, q db.Querier, id odcm.ProviderID) (l provider.Leaving, err error) {
	l.Accounts, err = db.Collect(ctx, q, func(r db.Row) (a provider.LeavingAccount, err error) {
		return a, r.Scan(&a.User, &a.Username, &a.Subject, &a.Account, &a.Only)
	}, `SELECT u.id, u.username, l.subject, l.username,
			u.disabled = FALSE AND u.deleted = 0 AND NOT EXISTS (SELECT 1 FROM identity_password p WHERE p.user_id = u.id)
				AND NOT EXISTS (SELECT 1 FROM identity_linked o WHERE o.user_id = u.id AND o.provider <> l.provider)
		FROM identity_linked l JOIN identity_user u ON u.id = l.user_id WHERE l.provider = $1 ORDER BY u.username_key, l.id`, id)
	if err != nil {
		return l, err
	}
	l.Groups, err = db.Collect(ctx, q, func(r db.Row) (g provider.LeavingGroup, err error) {
		return g, r.Scan(&g.ID, &g.Name, &g.Description, &g.External)
	}, `SELECT id, name, description, external_id FROM identity_group WHERE provider = $1 ORDER BY name_key, id`, id)
	if err != nil {
		return l, err
	}
	return l, q.QueryRowContext(ctx, `SELECT count(*) FROM identity_group_user m JOIN identity_group g ON g.id = m.group_id WHERE g.provider = $1`,
		id).Scan(&l.Memberships)
}

// Delete implements [provider.Store].
func (s *Store) Delete(ctx context.Context, id odcm.ProviderID, decide func(provider.Leaving) ([]odcm.Event, error)) error {
	return s.db.Tx(ctx, func(tx *sql.Tx) error {
		// Nobody changes groups meanwhile: see groupsql.
		if _, err := tx.ExecContext(ctx, `UPDATE identity_group_turn SET turn = turn + 1 WHERE one = 1`); err != nil {
			return err
		}
		result, err := tx.ExecContext(ctx, `DELETE FROM identity_provider WHERE id = $1`, id)
		if err := one(result, err, notFound()); err != nil {
			return err
		}
		l, err := leaving(ctx, tx, id)
		if err != nil {
			return err
		}
		events, err := decide(l)
		if err != nil {
			return err
		}
		for _, statement := range []string{
			// An address that came with an account goes with it. Who loses his main one gets the one that was verified first.
			`DELETE FROM identity_email WHERE source IN (SELECT id FROM identity_linked WHERE provider = $1)`,
			`UPDATE identity_email SET main = TRUE WHERE user_id IN (SELECT user_id FROM identity_linked WHERE provider = $1)
				AND NOT EXISTS (SELECT 1 FROM identity_email m WHERE m.user_id = identity_email.user_id AND m.main = TRUE)
				AND address_key = (SELECT o.address_key FROM identity_email o WHERE o.user_id = identity_email.user_id
					ORDER BY CASE WHEN o.verified = 0 THEN 1 ELSE 0 END, o.verified, o.address_key LIMIT 1)`,
			`DELETE FROM identity_linked WHERE provider = $1`,
			`DELETE FROM identity_group WHERE provider = $1`,
		} {
			if _, err := tx.ExecContext(ctx, statement, id); err != nil {
				return err
			}
		}
		return s.events.Append(ctx, tx, events...)
	})
}
