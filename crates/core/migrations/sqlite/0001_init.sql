-- The tables on SQLite: the same tables, columns and keys as on PostgreSQL (a test compares them).
-- Ids are BLOBs of 16 bytes, times whole microseconds since 1970, truth values 0 and 1, structures JSON text.
-- WITHOUT ROWID where rows are small: their key is the table, and secondary indexes end in it anyway.

-- Tenants. Global tables stand outside row-level security (the closed list is in doctor.rs).
CREATE TABLE organizations (
    id BLOB NOT NULL,
    name TEXT NOT NULL,
    time_zone TEXT NOT NULL,
    locale TEXT NOT NULL,
    currency TEXT NOT NULL,
    require_two_factor INTEGER NOT NULL,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL,
    version INTEGER NOT NULL,
    PRIMARY KEY (id)
) STRICT;

-- What seals secrets. A master key lies in the key file, its name alone here, and goes once nothing is wrapped by it.
CREATE TABLE master_keys (
    id TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    PRIMARY KEY (id)
) STRICT, WITHOUT ROWID;

-- The keys of what is people's own: second factors, steps of signing in.
CREATE TABLE common_keys (
    id BLOB NOT NULL,
    master_key TEXT,
    wrapped BLOB,
    created_at INTEGER NOT NULL,
    retired_at INTEGER,
    PRIMARY KEY (id),
    FOREIGN KEY (master_key) REFERENCES master_keys (id)
) STRICT, WITHOUT ROWID;

-- The keys of what is an organisation's. One that was destroyed is not wrapped any more.
CREATE TABLE data_keys (
    id BLOB NOT NULL,
    organization_id BLOB NOT NULL,
    master_key TEXT,
    wrapped BLOB,
    created_at INTEGER NOT NULL,
    retired_at INTEGER,
    PRIMARY KEY (organization_id, id),
    FOREIGN KEY (master_key) REFERENCES master_keys (id)
) STRICT, WITHOUT ROWID;
CREATE INDEX data_keys_master ON data_keys (master_key);

CREATE TABLE users (
    id BLOB NOT NULL,
    email TEXT NOT NULL,
    name TEXT NOT NULL,
    avatar_url TEXT,
    time_zone TEXT,
    locale TEXT,
    preferences TEXT NOT NULL,
    email_verified INTEGER NOT NULL,
    created_at INTEGER NOT NULL,
    version INTEGER NOT NULL,
    PRIMARY KEY (id)
) STRICT;
CREATE UNIQUE INDEX users_email ON users (email);

-- Of a mailed token only the SHA-256 is kept.
CREATE TABLE mail_tokens (
    user_id BLOB NOT NULL,
    purpose TEXT NOT NULL,
    token_hash BLOB NOT NULL,
    email TEXT NOT NULL,
    expires_at INTEGER NOT NULL,
    used_at INTEGER,
    created_at INTEGER NOT NULL,
    PRIMARY KEY (user_id, purpose),
    FOREIGN KEY (user_id) REFERENCES users (id)
) STRICT, WITHOUT ROWID;
CREATE UNIQUE INDEX mail_tokens_hash ON mail_tokens (token_hash);

CREATE TABLE credentials (
    user_id BLOB NOT NULL,
    password_hash TEXT NOT NULL,
    updated_at INTEGER NOT NULL,
    PRIMARY KEY (user_id),
    FOREIGN KEY (user_id) REFERENCES users (id)
) STRICT, WITHOUT ROWID;

-- The seed lies sealed; of recovery codes only the SHA-256 is kept.
CREATE TABLE second_factors (
    user_id BLOB NOT NULL,
    key_id BLOB NOT NULL,
    sealed BLOB NOT NULL,
    enabled INTEGER NOT NULL,
    last_step INTEGER NOT NULL,
    recovery TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    PRIMARY KEY (user_id),
    FOREIGN KEY (user_id) REFERENCES users (id),
    FOREIGN KEY (key_id) REFERENCES common_keys (id)
) STRICT, WITHOUT ROWID;
CREATE INDEX second_factors_key ON second_factors (key_id, user_id);

CREATE TABLE memberships (
    organization_id BLOB NOT NULL,
    user_id BLOB NOT NULL,
    role TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    PRIMARY KEY (organization_id, user_id),
    FOREIGN KEY (organization_id) REFERENCES organizations (id),
    FOREIGN KEY (user_id) REFERENCES users (id)
) STRICT, WITHOUT ROWID;
CREATE INDEX memberships_user ON memberships (user_id, created_at);
CREATE INDEX memberships_created ON memberships (organization_id, created_at, user_id);

CREATE TABLE sessions (
    id BLOB NOT NULL,
    user_id BLOB NOT NULL,
    organization_id BLOB NOT NULL,
    refresh_hash BLOB NOT NULL,
    previous_hash BLOB,
    refreshed_at INTEGER NOT NULL,
    expires_at INTEGER NOT NULL,
    revoked_at INTEGER,
    address TEXT,
    network TEXT,
    user_agent TEXT,
    factors TEXT NOT NULL,
    proven_at INTEGER NOT NULL,
    created_at INTEGER NOT NULL,
    PRIMARY KEY (id)
) STRICT;
CREATE INDEX sessions_refresh_hash ON sessions (refresh_hash);
CREATE INDEX sessions_previous_hash ON sessions (previous_hash) WHERE previous_hash IS NOT NULL;
CREATE INDEX sessions_user ON sessions (user_id, created_at, id) WHERE revoked_at IS NULL;
CREATE INDEX sessions_network ON sessions (user_id, network) WHERE network IS NOT NULL;

-- Who a user is elsewhere (Google, GitHub, …). What one provider calls somebody belongs to one user.
CREATE TABLE identities (
    id BLOB NOT NULL,
    user_id BLOB NOT NULL,
    provider TEXT NOT NULL,
    subject TEXT NOT NULL,
    email TEXT,
    last_used_at INTEGER,
    created_at INTEGER NOT NULL,
    PRIMARY KEY (id),
    FOREIGN KEY (user_id) REFERENCES users (id)
) STRICT;
CREATE UNIQUE INDEX identities_subject ON identities (provider, subject);
CREATE INDEX identities_user ON identities (user_id, created_at, id);

-- Steps of signing in by a provider, for some minutes each; what they know is sealed.
CREATE TABLE login_states (
    id BLOB NOT NULL,
    token_hash BLOB NOT NULL,
    browser_hash BLOB,
    key_id BLOB NOT NULL,
    sealed BLOB NOT NULL,
    used_at INTEGER,
    expires_at INTEGER NOT NULL,
    created_at INTEGER NOT NULL,
    PRIMARY KEY (id),
    FOREIGN KEY (key_id) REFERENCES common_keys (id)
) STRICT;
CREATE INDEX login_states_key ON login_states (key_id, id);
CREATE UNIQUE INDEX login_states_token ON login_states (token_hash);
CREATE INDEX login_states_expires ON login_states (expires_at);

-- The id as a text: memberships name it, or a built-in role by its word.
CREATE TABLE roles (
    id TEXT NOT NULL,
    organization_id BLOB NOT NULL,
    name TEXT NOT NULL,
    name_key TEXT NOT NULL,
    permissions TEXT NOT NULL,
    record_visibility TEXT NOT NULL,
    fields TEXT NOT NULL,
    given INTEGER NOT NULL,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL,
    version INTEGER NOT NULL,
    PRIMARY KEY (organization_id, id),
    FOREIGN KEY (organization_id) REFERENCES organizations (id)
) STRICT;
CREATE UNIQUE INDEX roles_name ON roles (organization_id, name_key);

-- Of an API key's secret only the SHA-256 is kept: it is looked up by that. Without acts_for it acts for the organisation.
CREATE TABLE api_keys (
    id BLOB NOT NULL,
    organization_id BLOB NOT NULL,
    name TEXT NOT NULL,
    prefix TEXT NOT NULL,
    secret_hash BLOB NOT NULL,
    scopes TEXT NOT NULL,
    acts_for BLOB,
    created_by BLOB,
    expires_at INTEGER,
    last_used_at INTEGER,
    created_at INTEGER NOT NULL,
    PRIMARY KEY (id),
    FOREIGN KEY (organization_id) REFERENCES organizations (id)
) STRICT;
CREATE UNIQUE INDEX api_keys_secret ON api_keys (secret_hash);
CREATE INDEX api_keys_created ON api_keys (organization_id, created_at, id);
CREATE INDEX api_keys_acts_for ON api_keys (organization_id, acts_for, created_at, id);

-- Of an invitation's token only the SHA-256 is kept. One that is pending may have run out since.
CREATE TABLE invitations (
    id BLOB NOT NULL,
    organization_id BLOB NOT NULL,
    email TEXT NOT NULL,
    role TEXT NOT NULL,
    team_id BLOB,
    invited_by BLOB,
    token_hash BLOB NOT NULL,
    status TEXT NOT NULL,
    expires_at INTEGER NOT NULL,
    created_at INTEGER NOT NULL,
    PRIMARY KEY (id),
    FOREIGN KEY (organization_id) REFERENCES organizations (id)
) STRICT;
CREATE UNIQUE INDEX invitations_token ON invitations (token_hash);
CREATE UNIQUE INDEX invitations_pending ON invitations (organization_id, email) WHERE status = 'pending';
CREATE INDEX invitations_created ON invitations (organization_id, created_at, id);
CREATE INDEX invitations_status ON invitations (organization_id, status, created_at, id);

CREATE TABLE teams (
    id BLOB NOT NULL,
    organization_id BLOB NOT NULL,
    name TEXT NOT NULL,
    name_key TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL,
    version INTEGER NOT NULL,
    PRIMARY KEY (organization_id, id)
) STRICT;
CREATE UNIQUE INDEX teams_name ON teams (organization_id, name_key);
CREATE INDEX teams_created ON teams (organization_id, created_at, id);

CREATE TABLE team_members (
    organization_id BLOB NOT NULL,
    team_id BLOB NOT NULL,
    user_id BLOB NOT NULL,
    created_at INTEGER NOT NULL,
    PRIMARY KEY (organization_id, team_id, user_id),
    FOREIGN KEY (organization_id, team_id) REFERENCES teams (organization_id, id)
) STRICT, WITHOUT ROWID;
CREATE INDEX team_members_created ON team_members (organization_id, team_id, created_at, user_id);
CREATE INDEX team_members_user ON team_members (organization_id, user_id, team_id);

-- Whose turn it is: when each member was last given a contact, by team; the nil id stands for everybody.
CREATE TABLE assignment_turns (
    organization_id BLOB NOT NULL,
    pool_id BLOB NOT NULL,
    user_id BLOB NOT NULL,
    last_at INTEGER NOT NULL,
    version INTEGER NOT NULL,
    PRIMARY KEY (organization_id, pool_id, user_id)
) STRICT, WITHOUT ROWID;

CREATE TABLE pipelines (
    id BLOB NOT NULL,
    organization_id BLOB NOT NULL,
    name TEXT NOT NULL,
    is_default INTEGER NOT NULL,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL,
    version INTEGER NOT NULL,
    PRIMARY KEY (organization_id, id)
) STRICT;
CREATE UNIQUE INDEX pipelines_default ON pipelines (organization_id) WHERE is_default;

-- Names are unique in a pipeline whatever the case; the service sees to it, since lower() differs between databases.
CREATE TABLE stages (
    id BLOB NOT NULL,
    organization_id BLOB NOT NULL,
    pipeline_id BLOB NOT NULL,
    name TEXT NOT NULL,
    order_index INTEGER NOT NULL,
    color TEXT,
    kind TEXT NOT NULL,
    probability REAL,
    automation_rules TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL,
    version INTEGER NOT NULL,
    PRIMARY KEY (organization_id, id),
    FOREIGN KEY (organization_id, pipeline_id) REFERENCES pipelines (organization_id, id)
) STRICT;
CREATE INDEX stages_pipeline ON stages (organization_id, pipeline_id, order_index);

-- last_message_key: contacts without a message sort as the oldest. A column and not an expression in the index: SQLite
-- finds no place by an expression and an id, and PostgreSQL, which does not count COALESCE as leakproof, none at all under
-- row-level security.
CREATE TABLE contacts (
    id BLOB NOT NULL,
    organization_id BLOB NOT NULL,
    name TEXT NOT NULL,
    name_key TEXT NOT NULL,
    emails TEXT NOT NULL,
    phones TEXT NOT NULL,
    handles TEXT NOT NULL,
    company_id BLOB,
    assigned_to BLOB,
    team_id BLOB,
    source TEXT,
    tags TEXT NOT NULL,
    custom TEXT NOT NULL,
    external_ids TEXT NOT NULL,
    stage_id BLOB NOT NULL,
    pipeline_id BLOB NOT NULL,
    stage_entry_id BLOB NOT NULL,
    stage_entered_at INTEGER NOT NULL,
    score INTEGER NOT NULL,
    first_response_at INTEGER,
    last_response_at INTEGER,
    last_message_at INTEGER,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL,
    deleted_at INTEGER,
    version INTEGER NOT NULL,
    last_message_key INTEGER NOT NULL GENERATED ALWAYS AS (COALESCE(last_message_at, 0)) VIRTUAL,
    PRIMARY KEY (organization_id, id),
    FOREIGN KEY (organization_id, stage_id) REFERENCES stages (organization_id, id)
) STRICT;
CREATE INDEX contacts_created ON contacts (organization_id, created_at, id) WHERE deleted_at IS NULL;
CREATE INDEX contacts_updated ON contacts (organization_id, updated_at, id) WHERE deleted_at IS NULL;
CREATE INDEX contacts_name ON contacts (organization_id, name_key, id) WHERE deleted_at IS NULL;
CREATE INDEX contacts_last_message ON contacts (organization_id, last_message_key, id) WHERE deleted_at IS NULL;
CREATE INDEX contacts_score ON contacts (organization_id, score, id) WHERE deleted_at IS NULL;
-- A stage is listed by every sort.
CREATE INDEX contacts_stage_created ON contacts (organization_id, stage_id, created_at, id) WHERE deleted_at IS NULL;
-- Not partial: the foreign key to stages looks here when a stage is removed.
CREATE INDEX contacts_stage_updated ON contacts (organization_id, stage_id, updated_at, id);
CREATE INDEX contacts_stage_name ON contacts (organization_id, stage_id, name_key, id) WHERE deleted_at IS NULL;
CREATE INDEX contacts_stage_last_message ON contacts (organization_id, stage_id, last_message_key, id) WHERE deleted_at IS NULL;
CREATE INDEX contacts_stage_score ON contacts (organization_id, stage_id, score, id) WHERE deleted_at IS NULL;
CREATE INDEX contacts_stage_entered ON contacts (organization_id, stage_id, stage_entered_at, id) WHERE deleted_at IS NULL;
CREATE INDEX contacts_stage ON contacts (organization_id, stage_id, id) WHERE deleted_at IS NULL;
CREATE INDEX contacts_assigned ON contacts (organization_id, assigned_to, created_at, id) WHERE deleted_at IS NULL AND assigned_to IS NOT NULL;
CREATE INDEX contacts_company ON contacts (organization_id, company_id, created_at, id) WHERE deleted_at IS NULL AND company_id IS NOT NULL;
CREATE INDEX contacts_team ON contacts (organization_id, team_id, created_at, id) WHERE deleted_at IS NULL AND team_id IS NOT NULL;
CREATE INDEX contacts_nobodys ON contacts (organization_id, assigned_to, team_id, id) WHERE deleted_at IS NULL AND assigned_to IS NULL AND team_id IS NULL;
CREATE INDEX contacts_source ON contacts (organization_id, source, created_at, id) WHERE deleted_at IS NULL AND source IS NOT NULL;
-- Who has how much to do is counted along it.
CREATE INDEX contacts_assigned_stage ON contacts (organization_id, assigned_to, stage_id) WHERE deleted_at IS NULL AND assigned_to IS NOT NULL;
-- The trash, oldest first.
CREATE INDEX contacts_deleted ON contacts (organization_id, deleted_at, id) WHERE deleted_at IS NOT NULL;

CREATE TABLE contact_identities (
    organization_id BLOB NOT NULL,
    kind TEXT NOT NULL,
    value TEXT NOT NULL,
    contact_id BLOB NOT NULL,
    claimed INTEGER NOT NULL,
    PRIMARY KEY (organization_id, kind, value, contact_id),
    FOREIGN KEY (organization_id, contact_id) REFERENCES contacts (organization_id, id)
) STRICT, WITHOUT ROWID;
CREATE UNIQUE INDEX contact_identities_claimed ON contact_identities (organization_id, kind, value) WHERE claimed;

CREATE TABLE contact_tags (
    organization_id BLOB NOT NULL,
    tag TEXT NOT NULL,
    contact_id BLOB NOT NULL,
    PRIMARY KEY (organization_id, tag, contact_id),
    FOREIGN KEY (organization_id, contact_id) REFERENCES contacts (organization_id, id)
) STRICT, WITHOUT ROWID;

-- A key of each contact's own, which seals what is personal in rows that are never rewritten (`sealed`, `sealed_by`). Once it
-- was destroyed, nothing stands there, and nobody reads what it sealed.
CREATE TABLE contact_keys (
    organization_id BLOB NOT NULL,
    contact_id BLOB NOT NULL,
    key BLOB,
    PRIMARY KEY (organization_id, contact_id)
) STRICT, WITHOUT ROWID;

-- Contacts of whom everything personal is taken away for good: their rows stay, empty.
CREATE TABLE erasures (
    organization_id BLOB NOT NULL,
    contact_id BLOB NOT NULL,
    job_id BLOB NOT NULL,
    created_at INTEGER NOT NULL,
    finished_at INTEGER,
    PRIMARY KEY (organization_id, contact_id),
    FOREIGN KEY (organization_id, contact_id) REFERENCES contacts (organization_id, id)
) STRICT, WITHOUT ROWID;

-- How long each kind of thing is kept, and how far the job is that clears what is older.
CREATE TABLE retention (
    organization_id BLOB NOT NULL,
    days TEXT NOT NULL,
    progress TEXT NOT NULL,
    updated_at INTEGER NOT NULL,
    version INTEGER NOT NULL,
    PRIMARY KEY (organization_id)
) STRICT;

-- What its walks remember of single rows: what was not over yet when they passed it, and what they emptied in the trash.
CREATE TABLE retention_marks (
    organization_id BLOB NOT NULL,
    walk TEXT NOT NULL,
    id BLOB NOT NULL,
    PRIMARY KEY (organization_id, walk, id)
) STRICT, WITHOUT ROWID;

CREATE TABLE companies (
    id BLOB NOT NULL,
    organization_id BLOB NOT NULL,
    name TEXT NOT NULL,
    name_key TEXT NOT NULL,
    domain TEXT,
    industry TEXT,
    size INTEGER,
    website TEXT,
    tags TEXT NOT NULL,
    custom TEXT NOT NULL,
    external_ids TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL,
    deleted_at INTEGER,
    version INTEGER NOT NULL,
    PRIMARY KEY (organization_id, id)
) STRICT;
CREATE INDEX companies_created ON companies (organization_id, created_at, id) WHERE deleted_at IS NULL;
CREATE INDEX companies_updated ON companies (organization_id, updated_at, id) WHERE deleted_at IS NULL;
CREATE INDEX companies_name ON companies (organization_id, name_key, id) WHERE deleted_at IS NULL;
CREATE INDEX companies_domain ON companies (organization_id, domain, created_at, id) WHERE deleted_at IS NULL AND domain IS NOT NULL;
CREATE INDEX companies_industry ON companies (organization_id, industry, created_at, id) WHERE deleted_at IS NULL AND industry IS NOT NULL;
CREATE INDEX companies_deleted ON companies (organization_id, deleted_at, id) WHERE deleted_at IS NOT NULL;

CREATE TABLE company_tags (
    organization_id BLOB NOT NULL,
    tag TEXT NOT NULL,
    company_id BLOB NOT NULL,
    PRIMARY KEY (organization_id, tag, company_id),
    FOREIGN KEY (organization_id, company_id) REFERENCES companies (organization_id, id)
) STRICT, WITHOUT ROWID;

CREATE TABLE custom_fields (
    id BLOB NOT NULL,
    organization_id BLOB NOT NULL,
    object TEXT NOT NULL,
    key TEXT NOT NULL,
    label TEXT NOT NULL,
    kind TEXT NOT NULL,
    options TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL,
    version INTEGER NOT NULL,
    PRIMARY KEY (organization_id, id)
) STRICT;
CREATE UNIQUE INDEX custom_fields_key ON custom_fields (organization_id, object, key);

-- Found and sorted by a text that sorts as the value does, whatever the field's type.
CREATE TABLE custom_values (
    organization_id BLOB NOT NULL,
    field_id BLOB NOT NULL,
    value TEXT NOT NULL,
    record_id BLOB NOT NULL,
    PRIMARY KEY (organization_id, field_id, value, record_id),
    FOREIGN KEY (organization_id, field_id) REFERENCES custom_fields (organization_id, id)
) STRICT, WITHOUT ROWID;

CREATE TABLE external_ids (
    organization_id BLOB NOT NULL,
    object TEXT NOT NULL,
    system TEXT NOT NULL,
    external_id TEXT NOT NULL,
    record_id BLOB NOT NULL,
    PRIMARY KEY (organization_id, object, system, external_id)
) STRICT, WITHOUT ROWID;

-- A value is whole ten-thousandths of its currency's unit. Deals without a value sort as the least, those without a day
-- as the earliest.
CREATE TABLE deals (
    id BLOB NOT NULL,
    organization_id BLOB NOT NULL,
    name TEXT NOT NULL,
    name_key TEXT NOT NULL,
    contact_id BLOB,
    company_id BLOB,
    pipeline_id BLOB NOT NULL,
    stage_id BLOB NOT NULL,
    stage_entry_id BLOB NOT NULL,
    stage_entered_at INTEGER NOT NULL,
    value_amount INTEGER,
    value_currency TEXT,
    probability REAL,
    expected_close_on TEXT,
    assigned_to BLOB,
    team_id BLOB,
    lost_reason TEXT,
    status TEXT NOT NULL,
    closed_at INTEGER,
    custom TEXT NOT NULL,
    external_ids TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL,
    deleted_at INTEGER,
    version INTEGER NOT NULL,
    value_key INTEGER NOT NULL GENERATED ALWAYS AS (COALESCE(value_amount, -1)) VIRTUAL,
    close_key TEXT NOT NULL GENERATED ALWAYS AS (COALESCE(expected_close_on, '')) VIRTUAL,
    PRIMARY KEY (organization_id, id),
    FOREIGN KEY (organization_id, stage_id) REFERENCES stages (organization_id, id),
    FOREIGN KEY (organization_id, contact_id) REFERENCES contacts (organization_id, id)
) STRICT;
CREATE INDEX deals_created ON deals (organization_id, created_at, id) WHERE deleted_at IS NULL;
CREATE INDEX deals_updated ON deals (organization_id, updated_at, id) WHERE deleted_at IS NULL;
CREATE INDEX deals_name ON deals (organization_id, name_key, id) WHERE deleted_at IS NULL;
CREATE INDEX deals_worth ON deals (organization_id, value_key, id) WHERE deleted_at IS NULL;
CREATE INDEX deals_close ON deals (organization_id, close_key, id) WHERE deleted_at IS NULL;
CREATE INDEX deals_team ON deals (organization_id, team_id, created_at, id) WHERE deleted_at IS NULL AND team_id IS NOT NULL;
CREATE INDEX deals_nobodys ON deals (organization_id, assigned_to, team_id, id) WHERE deleted_at IS NULL AND assigned_to IS NULL AND team_id IS NULL;
CREATE INDEX deals_pipeline ON deals (organization_id, pipeline_id, created_at, id) WHERE deleted_at IS NULL;
CREATE INDEX deals_stage_created ON deals (organization_id, stage_id, created_at, id) WHERE deleted_at IS NULL;
-- Not partial: the foreign key to stages looks here when a stage is removed.
CREATE INDEX deals_stage_updated ON deals (organization_id, stage_id, updated_at, id);
CREATE INDEX deals_stage_entered ON deals (organization_id, stage_id, stage_entered_at, id) WHERE deleted_at IS NULL;
CREATE INDEX deals_stage ON deals (organization_id, stage_id, id) WHERE deleted_at IS NULL;
-- Not partial either: the foreign key to contacts.
CREATE INDEX deals_contact ON deals (organization_id, contact_id, created_at, id);
CREATE INDEX deals_company ON deals (organization_id, company_id, created_at, id) WHERE deleted_at IS NULL AND company_id IS NOT NULL;
CREATE INDEX deals_assigned ON deals (organization_id, assigned_to, created_at, id) WHERE deleted_at IS NULL AND assigned_to IS NOT NULL;
CREATE INDEX deals_status ON deals (organization_id, status, created_at, id) WHERE deleted_at IS NULL;
-- What a pipeline is worth, without looking at the deals themselves.
CREATE INDEX deals_value ON deals (organization_id, pipeline_id, stage_id, value_currency, probability, value_amount, assigned_to, team_id, expected_close_on, contact_id) WHERE deleted_at IS NULL;
-- What was won in a period, the same way.
CREATE INDEX deals_closed ON deals (organization_id, closed_at, status, assigned_to, value_currency, value_amount) WHERE deleted_at IS NULL AND closed_at IS NOT NULL;
CREATE INDEX deals_deleted ON deals (organization_id, deleted_at, id) WHERE deleted_at IS NOT NULL;

-- A row has either contact_id, a contact's move, or deal_id, a deal's.
CREATE TABLE stage_history (
    id BLOB NOT NULL,
    organization_id BLOB NOT NULL,
    contact_id BLOB,
    deal_id BLOB,
    pipeline_id BLOB NOT NULL,
    from_stage_id BLOB,
    to_stage_id BLOB NOT NULL,
    moved_by BLOB,
    moved_at INTEGER NOT NULL,
    left_at INTEGER,
    left_to BLOB,
    auto_moved INTEGER NOT NULL,
    rule_id BLOB,
    run_id BLOB,
    reason TEXT,
    sealed_by BLOB,
    sealed BLOB,
    PRIMARY KEY (organization_id, id),
    FOREIGN KEY (organization_id, contact_id) REFERENCES contacts (organization_id, id),
    FOREIGN KEY (organization_id, deal_id) REFERENCES deals (organization_id, id)
) STRICT;
CREATE INDEX stage_history_contact ON stage_history (organization_id, contact_id, moved_at, id) WHERE contact_id IS NOT NULL;
CREATE INDEX stage_history_deal ON stage_history (organization_id, deal_id, moved_at, id) WHERE deal_id IS NOT NULL;
CREATE INDEX stage_history_stage ON stage_history (organization_id, to_stage_id, moved_at) WHERE contact_id IS NOT NULL;
CREATE INDEX stage_history_deal_stage ON stage_history (organization_id, to_stage_id, moved_at) WHERE deal_id IS NOT NULL;

CREATE TABLE notes (
    id BLOB NOT NULL,
    organization_id BLOB NOT NULL,
    contact_id BLOB,
    deal_id BLOB,
    text TEXT NOT NULL,
    created_by BLOB,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL,
    version INTEGER NOT NULL,
    PRIMARY KEY (organization_id, id),
    FOREIGN KEY (organization_id, contact_id) REFERENCES contacts (organization_id, id),
    FOREIGN KEY (organization_id, deal_id) REFERENCES deals (organization_id, id)
) STRICT;
CREATE INDEX notes_contact ON notes (organization_id, contact_id, created_at, id) WHERE contact_id IS NOT NULL;
CREATE INDEX notes_deal ON notes (organization_id, deal_id, created_at, id) WHERE deal_id IS NOT NULL;

-- due_key: what has no date is due after everything that has one.
CREATE TABLE tasks (
    id BLOB NOT NULL,
    organization_id BLOB NOT NULL,
    contact_id BLOB,
    deal_id BLOB,
    title TEXT NOT NULL,
    due_at INTEGER,
    remind_at INTEGER,
    assigned_to BLOB,
    done INTEGER NOT NULL,
    done_at INTEGER,
    due_told INTEGER NOT NULL,
    reminded INTEGER NOT NULL,
    created_by BLOB,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL,
    version INTEGER NOT NULL,
    due_key INTEGER NOT NULL GENERATED ALWAYS AS (COALESCE(due_at, 9223372036854775807)) VIRTUAL,
    PRIMARY KEY (organization_id, id),
    FOREIGN KEY (organization_id, contact_id) REFERENCES contacts (organization_id, id),
    FOREIGN KEY (organization_id, deal_id) REFERENCES deals (organization_id, id)
) STRICT;
CREATE INDEX tasks_contact ON tasks (organization_id, contact_id, created_at, id) WHERE contact_id IS NOT NULL;
CREATE INDEX tasks_deal ON tasks (organization_id, deal_id, created_at, id) WHERE deal_id IS NOT NULL;
CREATE INDEX tasks_contact_due ON tasks (organization_id, contact_id, due_key, id) WHERE contact_id IS NOT NULL;
CREATE INDEX tasks_deal_due ON tasks (organization_id, deal_id, due_key, id) WHERE deal_id IS NOT NULL;
CREATE INDEX tasks_created ON tasks (organization_id, created_at, id);
CREATE INDEX tasks_due ON tasks (organization_id, done, due_key, id);
CREATE INDEX tasks_assigned_created ON tasks (organization_id, assigned_to, created_at, id) WHERE assigned_to IS NOT NULL;
CREATE INDEX tasks_assigned_due ON tasks (organization_id, assigned_to, done, due_key, id) WHERE assigned_to IS NOT NULL;

CREATE TABLE accounts (
    id BLOB NOT NULL,
    organization_id BLOB NOT NULL,
    platform TEXT NOT NULL,
    display_name TEXT NOT NULL,
    handle TEXT NOT NULL,
    owner_id BLOB,
    visibility TEXT NOT NULL,
    status TEXT NOT NULL,
    status_since INTEGER NOT NULL,
    status_reason TEXT,
    last_sync_at INTEGER,
    flood_wait_until INTEGER,
    source TEXT NOT NULL,
    lease_expires_at INTEGER,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL,
    deleted_at INTEGER,
    version INTEGER NOT NULL,
    PRIMARY KEY (organization_id, id)
) STRICT;
CREATE UNIQUE INDEX accounts_handle ON accounts (organization_id, platform, handle);
CREATE INDEX accounts_created ON accounts (organization_id, created_at, id);
CREATE INDEX accounts_owner ON accounts (organization_id, owner_id, created_at, id) WHERE owner_id IS NOT NULL;

CREATE TABLE account_secrets (
    account_id BLOB NOT NULL,
    organization_id BLOB NOT NULL,
    key_id BLOB NOT NULL,
    sealed BLOB NOT NULL,
    PRIMARY KEY (organization_id, account_id),
    FOREIGN KEY (organization_id, key_id) REFERENCES data_keys (organization_id, id)
) STRICT;
CREATE INDEX account_secrets_key ON account_secrets (organization_id, key_id, account_id);

CREATE TABLE account_cursors (
    account_id BLOB NOT NULL,
    organization_id BLOB NOT NULL,
    cursor TEXT NOT NULL,
    PRIMARY KEY (organization_id, account_id)
) STRICT, WITHOUT ROWID;

CREATE TABLE skipped_messages (
    account_id BLOB NOT NULL,
    organization_id BLOB NOT NULL,
    provider_id TEXT NOT NULL,
    reason TEXT NOT NULL,
    skipped_at INTEGER NOT NULL,
    PRIMARY KEY (organization_id, account_id, provider_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX skipped_messages_at ON skipped_messages (organization_id, account_id, skipped_at);

CREATE TABLE chats (
    id BLOB NOT NULL,
    organization_id BLOB NOT NULL,
    account_id BLOB NOT NULL,
    platform TEXT NOT NULL,
    chat_key TEXT NOT NULL,
    title TEXT,
    contact_id BLOB,
    last_message TEXT,
    last_message_at INTEGER NOT NULL,
    unread_count INTEGER NOT NULL,
    assigned_to BLOB,
    state TEXT NOT NULL,
    snoozed_until INTEGER,
    waiting_since INTEGER,
    sent_at INTEGER,
    sent_by BLOB,
    labels TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    version INTEGER NOT NULL,
    PRIMARY KEY (organization_id, id),
    FOREIGN KEY (organization_id, account_id) REFERENCES accounts (organization_id, id)
) STRICT;
CREATE UNIQUE INDEX chats_key ON chats (organization_id, account_id, chat_key);
CREATE INDEX chats_inbox ON chats (organization_id, last_message_at, id);
CREATE INDEX chats_account ON chats (organization_id, account_id, last_message_at, id);
CREATE INDEX chats_contact ON chats (organization_id, contact_id, last_message_at, id) WHERE contact_id IS NOT NULL;
CREATE INDEX chats_assigned ON chats (organization_id, assigned_to, last_message_at, id) WHERE assigned_to IS NOT NULL;
CREATE INDEX chats_state ON chats (organization_id, state, last_message_at, id);
CREATE INDEX chats_unread ON chats (organization_id, last_message_at, id) WHERE unread_count > 0;

CREATE TABLE messages (
    id BLOB NOT NULL,
    organization_id BLOB NOT NULL,
    account_id BLOB NOT NULL,
    chat_id BLOB NOT NULL,
    platform TEXT NOT NULL,
    direction TEXT NOT NULL,
    sender TEXT NOT NULL,
    content TEXT,
    contact_id BLOB,
    timestamp INTEGER NOT NULL,
    read INTEGER NOT NULL,
    status TEXT NOT NULL,
    error TEXT,
    send_at INTEGER,
    metadata TEXT NOT NULL,
    provider_id TEXT,
    reference TEXT,
    sent_by BLOB,
    created_at INTEGER NOT NULL,
    PRIMARY KEY (organization_id, id),
    FOREIGN KEY (organization_id, chat_id) REFERENCES chats (organization_id, id)
) STRICT;
CREATE UNIQUE INDEX messages_provider ON messages (organization_id, account_id, provider_id) WHERE provider_id IS NOT NULL;
CREATE INDEX messages_sent ON messages (organization_id, account_id, timestamp) WHERE direction = 'outgoing';
CREATE INDEX messages_going ON messages (organization_id, chat_id, id) WHERE status = 'queued' OR status = 'sending';
CREATE INDEX messages_chat ON messages (organization_id, chat_id, timestamp, id);
CREATE INDEX messages_contact ON messages (organization_id, contact_id, timestamp, id) WHERE contact_id IS NOT NULL;
CREATE INDEX messages_reference ON messages (organization_id, account_id, reference) WHERE reference IS NOT NULL;
CREATE INDEX messages_unread ON messages (organization_id, chat_id, timestamp, id) WHERE direction = 'incoming' AND NOT read;

-- Who sent a message, and whose message one answers: what teams do is read off it by period, without a look at the
-- messages. No key to those: what was done stays done when they go.
CREATE TABLE message_credits (
    organization_id BLOB NOT NULL,
    at INTEGER NOT NULL,
    message_id BLOB NOT NULL,
    user_id BLOB NOT NULL,
    kind TEXT NOT NULL,
    waited_us INTEGER,
    PRIMARY KEY (organization_id, at, message_id)
) STRICT, WITHOUT ROWID;

CREATE TABLE media (
    id BLOB NOT NULL,
    organization_id BLOB NOT NULL,
    name TEXT NOT NULL,
    media_type TEXT NOT NULL,
    size INTEGER NOT NULL,
    account_id BLOB,
    contact_id BLOB,
    created_at INTEGER NOT NULL,
    used_at INTEGER NOT NULL,
    PRIMARY KEY (organization_id, id)
) STRICT;
CREATE INDEX media_contact ON media (organization_id, contact_id, created_at, id) WHERE contact_id IS NOT NULL;

CREATE TABLE rules (
    id BLOB NOT NULL,
    organization_id BLOB NOT NULL,
    slug TEXT NOT NULL,
    name TEXT NOT NULL,
    enabled INTEGER NOT NULL,
    engine TEXT NOT NULL,
    position INTEGER NOT NULL,
    definition TEXT NOT NULL,
    compiled TEXT NOT NULL,
    plan TEXT NOT NULL,
    failures INTEGER NOT NULL,
    paused_reason TEXT,
    updated_by BLOB,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL,
    version INTEGER NOT NULL,
    PRIMARY KEY (organization_id, id)
) STRICT;
CREATE UNIQUE INDEX rules_slug ON rules (organization_id, slug);
CREATE INDEX rules_failing ON rules (organization_id, id) WHERE failures > 0;

CREATE TABLE runs (
    id BLOB NOT NULL,
    organization_id BLOB NOT NULL,
    rule_id BLOB NOT NULL,
    rule_version INTEGER NOT NULL,
    event_id BLOB NOT NULL,
    event_kind TEXT NOT NULL,
    contact_id BLOB,
    deal_id BLOB,
    outcome TEXT NOT NULL,
    facts TEXT NOT NULL,
    actions TEXT NOT NULL,
    duration_us INTEGER NOT NULL,
    error TEXT,
    stopped INTEGER NOT NULL,
    created_at INTEGER NOT NULL,
    sealed_by BLOB,
    sealed BLOB,
    PRIMARY KEY (organization_id, id)
) STRICT;
-- A run happens once: unique by event and rule; led by the event, since its runs are looked up by it.
CREATE UNIQUE INDEX runs_event ON runs (organization_id, event_id, rule_id);
CREATE INDEX runs_created ON runs (organization_id, created_at, id);
CREATE INDEX runs_rule ON runs (organization_id, rule_id, created_at, id);
CREATE INDEX runs_contact ON runs (organization_id, contact_id, created_at, id) WHERE contact_id IS NOT NULL;
CREATE INDEX runs_deal ON runs (organization_id, deal_id, created_at, id) WHERE deal_id IS NOT NULL;
CREATE INDEX runs_outcome ON runs (organization_id, outcome, created_at, id);

-- With rowids: without statistics SQLite prefers a part of the key of a table WITHOUT ROWID to an index that tells more.
CREATE TABLE timers (
    id BLOB NOT NULL,
    organization_id BLOB NOT NULL,
    rule_id BLOB NOT NULL,
    subject_kind TEXT NOT NULL,
    subject_id BLOB NOT NULL,
    stage_entry_id BLOB NOT NULL,
    due_at INTEGER NOT NULL,
    ripe INTEGER NOT NULL,
    PRIMARY KEY (organization_id, id)
) STRICT;
CREATE UNIQUE INDEX timers_entry ON timers (organization_id, rule_id, stage_entry_id);
CREATE INDEX timers_subject ON timers (organization_id, subject_id);
CREATE INDEX timers_rule ON timers (organization_id, rule_id, id);

CREATE TABLE jobs (
    id BLOB NOT NULL,
    organization_id BLOB NOT NULL,
    kind TEXT NOT NULL,
    payload TEXT NOT NULL,
    key_id BLOB,
    state TEXT NOT NULL,
    progress INTEGER NOT NULL,
    attempts INTEGER NOT NULL,
    run_at INTEGER NOT NULL,
    dedup_key TEXT,
    last_error TEXT,
    created_by BLOB,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL,
    PRIMARY KEY (organization_id, id),
    FOREIGN KEY (organization_id, key_id) REFERENCES data_keys (organization_id, id)
) STRICT;
CREATE UNIQUE INDEX jobs_dedup ON jobs (organization_id, dedup_key) WHERE dedup_key IS NOT NULL;
CREATE INDEX jobs_key ON jobs (organization_id, key_id, id) WHERE key_id IS NOT NULL;
CREATE INDEX jobs_created ON jobs (organization_id, created_at, id);
CREATE INDEX jobs_state ON jobs (organization_id, state, created_at, id);

-- list_key: unread before read, then newest first; what is unread counts as 2^62 microseconds later.
CREATE TABLE notifications (
    id BLOB NOT NULL,
    organization_id BLOB NOT NULL,
    user_id BLOB NOT NULL,
    kind TEXT NOT NULL,
    title TEXT NOT NULL,
    body TEXT,
    contact_id BLOB,
    deal_id BLOB,
    task_id BLOB,
    rule_id BLOB,
    data TEXT NOT NULL,
    read INTEGER NOT NULL,
    created_at INTEGER NOT NULL,
    list_key INTEGER NOT NULL GENERATED ALWAYS AS (CASE WHEN read THEN created_at ELSE created_at + 4611686018427387904 END) VIRTUAL,
    PRIMARY KEY (organization_id, id)
) STRICT;
CREATE INDEX notifications_user ON notifications (organization_id, user_id, list_key, id);
CREATE INDEX notifications_contact ON notifications (organization_id, contact_id, created_at, id) WHERE contact_id IS NOT NULL;
CREATE INDEX notifications_deal ON notifications (organization_id, deal_id, created_at, id) WHERE deal_id IS NOT NULL;

CREATE TABLE idempotency_keys (
    organization_id BLOB NOT NULL,
    actor TEXT NOT NULL,
    operation TEXT NOT NULL,
    key TEXT NOT NULL,
    body_hash BLOB NOT NULL,
    answer TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    PRIMARY KEY (organization_id, actor, operation, key)
) STRICT;
CREATE INDEX idempotency_keys_created ON idempotency_keys (organization_id, created_at);

-- The log and the outbox: an event is pending while its number is above its subject's consumed_seq.
CREATE TABLE events (
    id BLOB NOT NULL,
    organization_id BLOB NOT NULL,
    kind TEXT NOT NULL,
    subject_kind TEXT NOT NULL,
    subject_id BLOB NOT NULL,
    subject_seq INTEGER NOT NULL,
    occurred_at INTEGER NOT NULL,
    actor TEXT NOT NULL,
    cause TEXT NOT NULL,
    changes TEXT NOT NULL,
    data TEXT NOT NULL,
    sealed_by BLOB,
    sealed BLOB,
    PRIMARY KEY (organization_id, id)
) STRICT;
CREATE UNIQUE INDEX events_subject ON events (organization_id, subject_id, subject_seq);

CREATE TABLE rule_versions (
    id BLOB NOT NULL,
    organization_id BLOB NOT NULL,
    slug TEXT NOT NULL,
    name TEXT NOT NULL,
    enabled INTEGER NOT NULL,
    engine TEXT NOT NULL,
    position INTEGER NOT NULL,
    definition TEXT NOT NULL,
    compiled TEXT NOT NULL,
    plan TEXT NOT NULL,
    failures INTEGER NOT NULL,
    paused_reason TEXT,
    updated_by BLOB,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL,
    version INTEGER NOT NULL,
    PRIMARY KEY (organization_id, id, version)
) STRICT;

-- The audit log. What is personal of an entry lies in its payload, which may be cleared; its digest and the seals stay.
CREATE TABLE audit_entries (
    id BLOB NOT NULL,
    organization_id BLOB NOT NULL,
    at INTEGER NOT NULL,
    actor TEXT NOT NULL,
    actor_id BLOB,
    action TEXT NOT NULL,
    object_kind TEXT NOT NULL,
    object_id BLOB NOT NULL,
    payload TEXT,
    payload_digest BLOB NOT NULL,
    seq INTEGER,
    seal BLOB,
    sealed_by BLOB,
    sealed BLOB,
    PRIMARY KEY (organization_id, id)
) STRICT;
CREATE INDEX audit_entries_actor ON audit_entries (organization_id, actor_id, at, id);
CREATE INDEX audit_entries_action ON audit_entries (organization_id, action, at, id);
CREATE INDEX audit_entries_kind ON audit_entries (organization_id, object_kind, at, id);
CREATE INDEX audit_entries_object ON audit_entries (organization_id, object_id, at, id);
-- The last of these: of indexes that seem as good as each other SQLite takes the first.
CREATE INDEX audit_entries_at ON audit_entries (organization_id, at, id);
CREATE UNIQUE INDEX audit_entries_seq ON audit_entries (organization_id, seq) WHERE seq IS NOT NULL;
CREATE INDEX audit_entries_unsealed ON audit_entries (organization_id, at, id) WHERE seq IS NULL;

-- How far each organisation's audit log is sealed.
CREATE TABLE audit_chains (
    organization_id BLOB NOT NULL,
    seq INTEGER NOT NULL,
    seal BLOB NOT NULL,
    sealed_at INTEGER NOT NULL,
    PRIMARY KEY (organization_id)
) STRICT;

-- How many events each subject has, and how many of them the rules have seen. The row is the subject's lock.
CREATE TABLE subjects (
    organization_id BLOB NOT NULL,
    subject_id BLOB NOT NULL,
    subject_kind TEXT NOT NULL,
    seq INTEGER NOT NULL,
    consumed_seq INTEGER NOT NULL,
    PRIMARY KEY (organization_id, subject_id)
) STRICT, WITHOUT ROWID;

-- What is due, for whom, and who has it in hand. No payload.
CREATE TABLE work (
    lane TEXT NOT NULL,
    id BLOB NOT NULL,
    organization_id BLOB NOT NULL,
    due_at INTEGER NOT NULL,
    lease_owner BLOB,
    lease_until INTEGER,
    token INTEGER NOT NULL,
    generation INTEGER NOT NULL,
    PRIMARY KEY (lane, id)
) STRICT, WITHOUT ROWID;
-- Each item is in one of the two: claiming looks at what is due and free, whatever else is pending.
CREATE INDEX work_due ON work (lane, due_at, id) WHERE lease_until IS NULL;
CREATE INDEX work_leased ON work (lease_until) WHERE lease_until IS NOT NULL;
