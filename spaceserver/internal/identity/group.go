package identity

import (
	"context"
	"database/sql"
	"slices"
	"strings"

	"odcm/kit/db"
)

// SetGroups replaces the groups that a provider named for a user, and tells whether they changed. Teams that name one of
// them in ExternalSecurityGroups have the user as a member.
func SetGroups(ctx context.Context, tx *sql.Tx, user, provider string, groups []string) (changed bool, err error) {
	groups = slices.Compact(slices.Sorted(slices.Values(groups)))
	before, err := groupsOf(ctx, tx, "SELECT group_id FROM spaceserver_external_group WHERE user_id = $1 AND provider = $2", user, provider)
	if err != nil || slices.Equal(slices.Sorted(slices.Values(before)), groups) {
		return false, err
	}
	if _, err := tx.ExecContext(ctx, "DELETE FROM spaceserver_external_group WHERE user_id = $1 AND provider = $2", user, provider); err != nil {
		return false, err
	}
	for _, group := range groups {
		if _, err := tx.ExecContext(ctx, "INSERT INTO spaceserver_external_group (user_id, provider, group_id) VALUES ($1,$2,$3)", user, provider, group); err != nil {
			return false, err
		}
	}
	return true, nil
}

// groups are the groups of a user, of all providers.
func (s *Service) groups(ctx context.Context, q db.Querier, user string) ([]string, error) {
	return groupsOf(ctx, q, "SELECT group_id FROM spaceserver_external_group WHERE user_id = $1", user)
}

func groupsOf(ctx context.Context, q db.Querier, query string, args ...any) ([]string, error) {
	return db.Collect(ctx, q, func(r db.Row) (string, error) {
		var group string
		return group, r.Scan(&group)
	}, query, args...)
}

// common are those of a team's groups that the user is in. Providers differ in the case of what they send.
func common(team, user []string) []string {
	var both []string
	for _, group := range team {
		if slices.ContainsFunc(user, func(g string) bool { return strings.EqualFold(g, group) }) {
			both = append(both, group)
		}
	}
	return both
}
