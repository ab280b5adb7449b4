-- The tables on PostgreSQL: the same tables, columns and keys as on SQLite (a test compares them).
-- Times are whole microseconds since 1970, structures JSON text. Text sorts by bytes, as it does on SQLite.
-- Every table of a tenant has forced row-level security; a transaction sees the one organisation it has set.
-- After a transaction the setting is '' and not NULL, hence nullif.

-- A text without letter case, in every alphabet and whatever the database's locale: as `text::folded` has it, which SQLite
-- calls.
CREATE FUNCTION folded(text) RETURNS text LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
    AS 'SELECT translate(lower($1 COLLATE "und-x-icu"), ''ς'', ''σ'')';

-- Tenants. Global tables stand outside row-level security (the closed list is in doctor.rs).
CREATE TABLE organizations (
    id uuid NOT NULL,
    name text COLLATE "C" NOT NULL,
    time_zone text COLLATE "C" NOT NULL,
    locale text COLLATE "C" NOT NULL,
    currency text COLLATE "C" NOT NULL,
    require_two_factor boolean NOT NULL,
    created_at bigint NOT NULL,
    updated_at bigint NOT NULL,
    version bigint NOT NULL,
    PRIMARY KEY (id)
);

-- What seals secrets. A master key lies in the key file, its name alone here, and goes once nothing is wrapped by it.
CREATE TABLE master_keys (
    id text COLLATE "C" NOT NULL,
    created_at bigint NOT NULL,
    PRIMARY KEY (id)
);

-- The keys of what is people's own: second factors, steps of signing in.
CREATE TABLE common_keys (
    id uuid NOT NULL,
    master_key text COLLATE "C",
    wrapped bytea,
    created_at bigint NOT NULL,
    retired_at bigint,
    PRIMARY KEY (id),
    FOREIGN KEY (master_key) REFERENCES master_keys (id)
);

-- The keys of what is an organisation's. One that was destroyed is not wrapped any more.
CREATE TABLE data_keys (
    id uuid NOT NULL,
    organization_id uuid NOT NULL,
    master_key text COLLATE "C",
    wrapped bytea,
    created_at bigint NOT NULL,
    retired_at bigint,
    PRIMARY KEY (organization_id, id),
    FOREIGN KEY (master_key) REFERENCES master_keys (id)
);
CREATE INDEX data_keys_master ON data_keys (master_key);
ALTER TABLE data_keys ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON data_keys
    USING (organization_id = nullif(current_setting('app.organization_id', true), '')::uuid)
    WITH CHECK (organization_id = nullif(current_setting('app.organization_id', true), '')::uuid);

CREATE TABLE users (
    id uuid NOT NULL,
    email text COLLATE "C" NOT NULL,
    name text COLLATE "C" NOT NULL,
    avatar_url text COLLATE "C",
    time_zone text COLLATE "C",
    locale text COLLATE "C",
    preferences text COLLATE "C" NOT NULL,
    email_verified boolean NOT NULL,
    created_at bigint NOT NULL,
    version bigint NOT NULL,
    PRIMARY KEY (id)
);
CREATE UNIQUE INDEX users_email ON users (email);

-- Of a mailed token only the SHA-256 is kept.
CREATE TABLE mail_tokens (
    user_id uuid NOT NULL,
    purpose text COLLATE "C" NOT NULL,
    token_hash bytea NOT NULL,
    email text COLLATE "C" NOT NULL,
    expires_at bigint NOT NULL,
    used_at bigint,
    created_at bigint NOT NULL,
    PRIMARY KEY (user_id, purpose),
    FOREIGN KEY (user_id) REFERENCES users (id)
);
CREATE UNIQUE INDEX mail_tokens_hash ON mail_tokens (token_hash);

CREATE TABLE credentials (
    user_id uuid NOT NULL,
    password_hash text COLLATE "C" NOT NULL,
    updated_at bigint NOT NULL,
    PRIMARY KEY (user_id),
    FOREIGN KEY (user_id) REFERENCES users (id)
);

-- The seed lies sealed; of recovery codes only the SHA-256 is kept.
CREATE TABLE second_factors (
    user_id uuid NOT NULL,
    key_id uuid NOT NULL,
    sealed bytea NOT NULL,
    enabled boolean NOT NULL,
    last_step bigint NOT NULL,
    recovery text COLLATE "C" NOT NULL,
    created_at bigint NOT NULL,
    PRIMARY KEY (user_id),
    FOREIGN KEY (user_id) REFERENCES users (id),
    FOREIGN KEY (key_id) REFERENCES common_keys (id)
);
CREATE INDEX second_factors_key ON second_factors (key_id, user_id);

CREATE TABLE memberships (
    organization_id uuid NOT NULL,
    user_id uuid NOT NULL,
    role text COLLATE "C" NOT NULL,
    created_at bigint NOT NULL,
    PRIMARY KEY (organization_id, user_id),
    FOREIGN KEY (organization_id) REFERENCES organizations (id),
    FOREIGN KEY (user_id) REFERENCES users (id)
);
CREATE INDEX memberships_user ON memberships (user_id, created_at);
CREATE INDEX memberships_created ON memberships (organization_id, created_at, user_id);

CREATE TABLE sessions (
    id uuid NOT NULL,
    user_id uuid NOT NULL,
    organization_id uuid NOT NULL,
    refresh_hash bytea NOT NULL,
    previous_hash bytea,
    refreshed_at bigint NOT NULL,
    expires_at bigint NOT NULL,
    revoked_at bigint,
    address text COLLATE "C",
    network text COLLATE "C",
    user_agent text COLLATE "C",
    factors text COLLATE "C" NOT NULL,
    proven_at bigint NOT NULL,
    created_at bigint NOT NULL,
    PRIMARY KEY (id)
);
CREATE INDEX sessions_refresh_hash ON sessions (refresh_hash);
CREATE INDEX sessions_previous_hash ON sessions (previous_hash) WHERE previous_hash IS NOT NULL;
CREATE INDEX sessions_user ON sessions (user_id, created_at, id) WHERE revoked_at IS NULL;
CREATE INDEX sessions_network ON sessions (user_id, network) WHERE network IS NOT NULL;

-- Who a user is elsewhere (Google, GitHub, …). What one provider calls somebody belongs to one user.
CREATE TABLE identities (
    id uuid NOT NULL,
    user_id uuid NOT NULL,
    provider text COLLATE "C" NOT NULL,
    subject text COLLATE "C" NOT NULL,
    email text COLLATE "C",
    last_used_at bigint,
    created_at bigint NOT NULL,
    PRIMARY KEY (id),
    FOREIGN KEY (user_id) REFERENCES users (id)
);
CREATE UNIQUE INDEX identities_subject ON identities (provider, subject);
CREATE INDEX identities_user ON identities (user_id, created_at, id);

-- Steps of signing in by a provider, for some minutes each; what they know is sealed.
CREATE TABLE login_states (
    id uuid NOT NULL,
    token_hash bytea NOT NULL,
    browser_hash bytea,
    key_id uuid NOT NULL,
    sealed bytea NOT NULL,
    used_at bigint,
    expires_at bigint NOT NULL,
    created_at bigint NOT NULL,
    PRIMARY KEY (id),
    FOREIGN KEY (key_id) REFERENCES common_keys (id)
);
CREATE INDEX login_states_key ON login_states (key_id, id);
CREATE UNIQUE INDEX login_states_token ON login_states (token_hash);
CREATE INDEX login_states_expires ON login_states (expires_at);

-- The id as a text: memberships name it, or a built-in role by its word.
CREATE TABLE roles (
    id text COLLATE "C" NOT NULL,
    organization_id uuid NOT NULL,
    name text COLLATE "C" NOT NULL,
    name_key text COLLATE "C" NOT NULL,
    permissions text COLLATE "C" NOT NULL,
    record_visibility text COLLATE "C" NOT NULL,
    fields text COLLATE "C" NOT NULL,
    given bigint NOT NULL,
    created_at bigint NOT NULL,
    updated_at bigint NOT NULL,
    version bigint NOT NULL,
    PRIMARY KEY (organization_id, id),
    FOREIGN KEY (organization_id) REFERENCES organizations (id)
);
CREATE UNIQUE INDEX roles_name ON roles (organization_id, name_key);

-- Of an API key's secret only the SHA-256 is kept: it is looked up by that. Without acts_for it acts for the organisation.
CREATE TABLE api_keys (
    id uuid NOT NULL,
    organization_id uuid NOT NULL,
    name text COLLATE "C" NOT NULL,
    prefix text COLLATE "C" NOT NULL,
    secret_hash bytea NOT NULL,
    scopes text COLLATE "C" NOT NULL,
    acts_for uuid,
    created_by uuid,
    expires_at bigint,
    last_used_at bigint,
    created_at bigint NOT NULL,
    PRIMARY KEY (id),
    FOREIGN KEY (organization_id) REFERENCES organizations (id)
);
CREATE UNIQUE INDEX api_keys_secret ON api_keys (secret_hash);
CREATE INDEX api_keys_created ON api_keys (organization_id, created_at, id);
CREATE INDEX api_keys_acts_for ON api_keys (organization_id, acts_for, created_at, id);

-- Of an invitation's token only the SHA-256 is kept. One that is pending may have run out since.
CREATE TABLE invitations (
    id uuid NOT NULL,
    organization_id uuid NOT NULL,
    email text COLLATE "C" NOT NULL,
    role text COLLATE "C" NOT NULL,
    team_id uuid,
    invited_by uuid,
    token_hash bytea NOT NULL,
    status text COLLATE "C" NOT NULL,
    expires_at bigint NOT NULL,
    created_at bigint NOT NULL,
    PRIMARY KEY (id),
    FOREIGN KEY (organization_id) REFERENCES organizations (id)
);
CREATE UNIQUE INDEX invitations_token ON invitations (token_hash);
CREATE UNIQUE INDEX invitations_pending ON invitations (organization_id, email) WHERE status = 'pending';
CREATE INDEX invitations_created ON invitations (organization_id, created_at, id);
CREATE INDEX invitations_status ON invitations (organization_id, status, created_at, id);

CREATE TABLE teams (
    id uuid NOT NULL,
    organization_id uuid NOT NULL,
    name text COLLATE "C" NOT NULL,
    name_key text COLLATE "C" NOT NULL,
    created_at bigint NOT NULL,
    updated_at bigint NOT NULL,
    version bigint NOT NULL,
    PRIMARY KEY (organization_id, id)
);
CREATE UNIQUE INDEX teams_name ON teams (organization_id, name_key);
CREATE INDEX teams_created ON teams (organization_id, created_at, id);
ALTER TABLE teams ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON teams
    USING (organization_id = nullif(current_setting('app.organization_id', true), '')::uuid)
    WITH CHECK (organization_id = nullif(current_setting('app.organization_id', true), '')::uuid);

CREATE TABLE team_members (
    organization_id uuid NOT NULL,
    team_id uuid NOT NULL,
    user_id uuid NOT NULL,
    created_at bigint NOT NULL,
    PRIMARY KEY (organization_id, team_id, user_id),
    FOREIGN KEY (organization_id, team_id) REFERENCES teams (organization_id, id)
);
CREATE INDEX team_members_created ON team_members (organization_id, team_id, created_at, user_id);
CREATE INDEX team_members_user ON team_members (organization_id, user_id, team_id);
ALTER TABLE team_members ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON team_members
    USING (organization_id = nullif(current_setting('app.organization_id', true), '')::uuid)
    WITH CHECK (organization_id = nullif(current_setting('app.organization_id', true), '')::uuid);

-- Whose turn it is: when each member was last given a contact, by team; the nil id stands for everybody.
CREATE TABLE assignment_turns (
    organization_id uuid NOT NULL,
    pool_id uuid NOT NULL,
    user_id uuid NOT NULL,
    last_at bigint NOT NULL,
    version bigint NOT NULL,
    PRIMARY KEY (organization_id, pool_id, user_id)
);
ALTER TABLE assignment_turns ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON assignment_turns
    USING (organization_id = nullif(current_setting('app.organization_id', true), '')::uuid)
    WITH CHECK (organization_id = nullif(current_setting('app.organization_id', true), '')::uuid);

CREATE TABLE pipelines (
    id uuid NOT NULL,
    organization_id uuid NOT NULL,
    name text COLLATE "C" NOT NULL,
    is_default boolean NOT NULL,
    created_at bigint NOT NULL,
    updated_at bigint NOT NULL,
    version bigint NOT NULL,
    PRIMARY KEY (organization_id, id)
);
CREATE UNIQUE INDEX pipelines_default ON pipelines (organization_id) WHERE is_default;
ALTER TABLE pipelines ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON pipelines
    USING (organization_id = nullif(current_setting('app.organization_id', true), '')::uuid)
    WITH CHECK (organization_id = nullif(current_setting('app.organization_id', true), '')::uuid);

-- Names are unique in a pipeline whatever the case; the service sees to it, since lower() differs between databases.
CREATE TABLE stages (
    id uuid NOT NULL,
    organization_id uuid NOT NULL,
    pipeline_id uuid NOT NULL,
    name text COLLATE "C" NOT NULL,
    order_index bigint NOT NULL,
    color text COLLATE "C",
    kind text COLLATE "C" NOT NULL,
    probability double precision,
    automation_rules text COLLATE "C" NOT NULL,
    created_at bigint NOT NULL,
    updated_at bigint NOT NULL,
    version bigint NOT NULL,
    PRIMARY KEY (organization_id, id),
    FOREIGN KEY (organization_id, pipeline_id) REFERENCES pipelines (organization_id, id)
);
CREATE INDEX stages_pipeline ON stages (organization_id, pipeline_id, order_index);
ALTER TABLE stages ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON stages
    USING (organization_id = nullif(current_setting('app.organization_id', true), '')::uuid)
    WITH CHECK (organization_id = nullif(current_setting('app.organization_id', true), '')::uuid);

-- last_message_key: contacts without a message sort as the oldest. A column and not an expression in the index: SQLite
-- finds no place by an expression and an id, and PostgreSQL, which does not count COALESCE as leakproof, none at all under
-- row-level security.
CREATE TABLE contacts (
    id uuid NOT NULL,
    organization_id uuid NOT NULL,
    name text COLLATE "C" NOT NULL,
    name_key text COLLATE "C" NOT NULL,
    emails text COLLATE "C" NOT NULL,
    phones text COLLATE "C" NOT NULL,
    handles text COLLATE "C" NOT NULL,
    company_id uuid,
    assigned_to uuid,
    team_id uuid,
    source text COLLATE "C",
    tags text COLLATE "C" NOT NULL,
    custom text COLLATE "C" NOT NULL,
    external_ids text COLLATE "C" NOT NULL,
    stage_id uuid NOT NULL,
    pipeline_id uuid NOT NULL,
    stage_entry_id uuid NOT NULL,
    stage_entered_at bigint NOT NULL,
    score bigint NOT NULL,
    first_response_at bigint,
    last_response_at bigint,
    last_message_at bigint,
    created_at bigint NOT NULL,
    updated_at bigint NOT NULL,
    deleted_at bigint,
    version bigint NOT NULL,
    last_message_key bigint NOT NULL GENERATED ALWAYS AS (COALESCE(last_message_at, 0)) STORED,
    PRIMARY KEY (organization_id, id),
    FOREIGN KEY (organization_id, stage_id) REFERENCES stages (organization_id, id)
);
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
ALTER TABLE contacts ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON contacts
    USING (organization_id = nullif(current_setting('app.organization_id', true), '')::uuid)
    WITH CHECK (organization_id = nullif(current_setting('app.organization_id', true), '')::uuid);

CREATE TABLE contact_identities (
    organization_id uuid NOT NULL,
    kind text COLLATE "C" NOT NULL,
    value text COLLATE "C" NOT NULL,
    contact_id uuid NOT NULL,
    claimed boolean NOT NULL,
    PRIMARY KEY (organization_id, kind, value, contact_id),
    FOREIGN KEY (organization_id, contact_id) REFERENCES contacts (organization_id, id)
);
CREATE UNIQUE INDEX contact_identities_claimed ON contact_identities (organization_id, kind, value) WHERE claimed;
ALTER TABLE contact_identities ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON contact_identities
    USING (organization_id = nullif(current_setting('app.organization_id', true), '')::uuid)
    WITH CHECK (organization_id = nullif(current_setting('app.organization_id', true), '')::uuid);

CREATE TABLE contact_tags (
    organization_id uuid NOT NULL,
    tag text COLLATE "C" NOT NULL,
    contact_id uuid NOT NULL,
    PRIMARY KEY (organization_id, tag, contact_id),
    FOREIGN KEY (organization_id, contact_id) REFERENCES contacts (organization_id, id)
);
ALTER TABLE contact_tags ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON contact_tags
    USING (organization_id = nullif(current_setting('app.organization_id', true), '')::uuid)
    WITH CHECK (organization_id = nullif(current_setting('app.organization_id', true), '')::uuid);

-- A key of each contact's own, which seals what is personal in rows that are never rewritten (`sealed`, `sealed_by`). Once it
-- was destroyed, nothing stands there, and nobody reads what it sealed.
CREATE TABLE contact_keys (
    organization_id uuid NOT NULL,
    contact_id uuid NOT NULL,
    key bytea,
    PRIMARY KEY (organization_id, contact_id)
);
ALTER TABLE contact_keys ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON contact_keys
    USING (organization_id = nullif(current_setting('app.organization_id', true), '')::uuid)
    WITH CHECK (organization_id = nullif(current_setting('app.organization_id', true), '')::uuid);

-- Contacts of whom everything personal is taken away for good: their rows stay, empty.
CREATE TABLE erasures (
    organization_id uuid NOT NULL,
    contact_id uuid NOT NULL,
    job_id uuid NOT NULL,
    created_at bigint NOT NULL,
    finished_at bigint,
    PRIMARY KEY (organization_id, contact_id),
    FOREIGN KEY (organization_id, contact_id) REFERENCES contacts (organization_id, id)
);
ALTER TABLE erasures ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON erasures
    USING (organization_id = nullif(current_setting('app.organization_id', true), '')::uuid)
    WITH CHECK (organization_id = nullif(current_setting('app.organization_id', true), '')::uuid);

-- How long each kind of thing is kept, and how far the job is that clears what is older.
CREATE TABLE retention (
    organization_id uuid NOT NULL,
    days text COLLATE "C" NOT NULL,
    progress text COLLATE "C" NOT NULL,
    updated_at bigint NOT NULL,
    version bigint NOT NULL,
    PRIMARY KEY (organization_id)
);
ALTER TABLE retention ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON retention
    USING (organization_id = nullif(current_setting('app.organization_id', true), '')::uuid)
    WITH CHECK (organization_id = nullif(current_setting('app.organization_id', true), '')::uuid);

-- What its walks remember of single rows: what was not over yet when they passed it, and what they emptied in the trash.
CREATE TABLE retention_marks (
    organization_id uuid NOT NULL,
    walk text COLLATE "C" NOT NULL,
    id uuid NOT NULL,
    PRIMARY KEY (organization_id, walk, id)
);
ALTER TABLE retention_marks ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON retention_marks
    USING (organization_id = nullif(current_setting('app.organization_id', true), '')::uuid)
    WITH CHECK (organization_id = nullif(current_setting('app.organization_id', true), '')::uuid);

CREATE TABLE companies (
    id uuid NOT NULL,
    organization_id uuid NOT NULL,
    name text COLLATE "C" NOT NULL,
    name_key text COLLATE "C" NOT NULL,
    domain text COLLATE "C",
    industry text COLLATE "C",
    size bigint,
    website text COLLATE "C",
    tags text COLLATE "C" NOT NULL,
    custom text COLLATE "C" NOT NULL,
    external_ids text COLLATE "C" NOT NULL,
    created_at bigint NOT NULL,
    updated_at bigint NOT NULL,
    deleted_at bigint,
    version bigint NOT NULL,
    PRIMARY KEY (organization_id, id)
);
CREATE INDEX companies_created ON companies (organization_id, created_at, id) WHERE deleted_at IS NULL;
CREATE INDEX companies_updated ON companies (organization_id, updated_at, id) WHERE deleted_at IS NULL;
CREATE INDEX companies_name ON companies (organization_id, name_key, id) WHERE deleted_at IS NULL;
CREATE INDEX companies_domain ON companies (organization_id, domain, created_at, id) WHERE deleted_at IS NULL AND domain IS NOT NULL;
CREATE INDEX companies_industry ON companies (organization_id, industry, created_at, id) WHERE deleted_at IS NULL AND industry IS NOT NULL;
CREATE INDEX companies_deleted ON companies (organization_id, deleted_at, id) WHERE deleted_at IS NOT NULL;
ALTER TABLE companies ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON companies
    USING (organization_id = nullif(current_setting('app.organization_id', true), '')::uuid)
    WITH CHECK (organization_id = nullif(current_setting('app.organization_id', true), '')::uuid);

CREATE TABLE company_tags (
    organization_id uuid NOT NULL,
    tag text COLLATE "C" NOT NULL,
    company_id uuid NOT NULL,
    PRIMARY KEY (organization_id, tag, company_id),
    FOREIGN KEY (organization_id, company_id) REFERENCES companies (organization_id, id)
);
ALTER TABLE company_tags ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON company_tags
    USING (organization_id = nullif(current_setting('app.organization_id', true), '')::uuid)
    WITH CHECK (organization_id = nullif(current_setting('app.organization_id', true), '')::uuid);

CREATE TABLE custom_fields (
    id uuid NOT NULL,
    organization_id uuid NOT NULL,
    object text COLLATE "C" NOT NULL,
    key text COLLATE "C" NOT NULL,
    label text COLLATE "C" NOT NULL,
    kind text COLLATE "C" NOT NULL,
    options text COLLATE "C" NOT NULL,
    created_at bigint NOT NULL,
    updated_at bigint NOT NULL,
    version bigint NOT NULL,
    PRIMARY KEY (organization_id, id)
);
CREATE UNIQUE INDEX custom_fields_key ON custom_fields (organization_id, object, key);
ALTER TABLE custom_fields ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON custom_fields
    USING (organization_id = nullif(current_setting('app.organization_id', true), '')::uuid)
    WITH CHECK (organization_id = nullif(current_setting('app.organization_id', true), '')::uuid);

-- Found and sorted by a text that sorts as the value does, whatever the field's type.
CREATE TABLE custom_values (
    organization_id uuid NOT NULL,
    field_id uuid NOT NULL,
    value text COLLATE "C" NOT NULL,
    record_id uuid NOT NULL,
    PRIMARY KEY (organization_id, field_id, value, record_id),
    FOREIGN KEY (organization_id, field_id) REFERENCES custom_fields (organization_id, id)
);
ALTER TABLE custom_values ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON custom_values
    USING (organization_id = nullif(current_setting('app.organization_id', true), '')::uuid)
    WITH CHECK (organization_id = nullif(current_setting('app.organization_id', true), '')::uuid);

CREATE TABLE external_ids (
    organization_id uuid NOT NULL,
    object text COLLATE "C" NOT NULL,
    system text COLLATE "C" NOT NULL,
    external_id text COLLATE "C" NOT NULL,
    record_id uuid NOT NULL,
    PRIMARY KEY (organization_id, object, system, external_id)
);
ALTER TABLE external_ids ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON external_ids
    USING (organization_id = nullif(current_setting('app.organization_id', true), '')::uuid)
    WITH CHECK (organization_id = nullif(current_setting('app.organization_id', true), '')::uuid);

-- A value is whole ten-thousandths of its currency's unit. Deals without a value sort as the least, those without a day
-- as the earliest.
CREATE TABLE deals (
    id uuid NOT NULL,
    organization_id uuid NOT NULL,
    name text COLLATE "C" NOT NULL,
    name_key text COLLATE "C" NOT NULL,
    contact_id uuid,
    company_id uuid,
    pipeline_id uuid NOT NULL,
    stage_id uuid NOT NULL,
    stage_entry_id uuid NOT NULL,
    stage_entered_at bigint NOT NULL,
    value_amount bigint,
    value_currency text COLLATE "C",
    probability double precision,
    expected_close_on text COLLATE "C",
    assigned_to uuid,
    team_id uuid,
    lost_reason text COLLATE "C",
    status text COLLATE "C" NOT NULL,
    closed_at bigint,
    custom text COLLATE "C" NOT NULL,
    external_ids text COLLATE "C" NOT NULL,
    created_at bigint NOT NULL,
    updated_at bigint NOT NULL,
    deleted_at bigint,
    version bigint NOT NULL,
    value_key bigint NOT NULL GENERATED ALWAYS AS (COALESCE(value_amount, -1)) STORED,
    close_key text COLLATE "C" NOT NULL GENERATED ALWAYS AS (COALESCE(expected_close_on, '')) STORED,
    PRIMARY KEY (organization_id, id),
    FOREIGN KEY (organization_id, stage_id) REFERENCES stages (organization_id, id),
    FOREIGN KEY (organization_id, contact_id) REFERENCES contacts (organization_id, id)
);
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
ALTER TABLE deals ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON deals
    USING (organization_id = nullif(current_setting('app.organization_id', true), '')::uuid)
    WITH CHECK (organization_id = nullif(current_setting('app.organization_id', true), '')::uuid);

-- A row has either contact_id, a contact's move, or deal_id, a deal's.
CREATE TABLE stage_history (
    id uuid NOT NULL,
    organization_id uuid NOT NULL,
    contact_id uuid,
    deal_id uuid,
    pipeline_id uuid NOT NULL,
    from_stage_id uuid,
    to_stage_id uuid NOT NULL,
    moved_by uuid,
    moved_at bigint NOT NULL,
    left_at bigint,
    left_to uuid,
    auto_moved boolean NOT NULL,
    rule_id uuid,
    run_id uuid,
    reason text COLLATE "C",
    sealed_by uuid,
    sealed bytea,
    PRIMARY KEY (organization_id, id),
    FOREIGN KEY (organization_id, contact_id) REFERENCES contacts (organization_id, id),
    FOREIGN KEY (organization_id, deal_id) REFERENCES deals (organization_id, id)
);
CREATE INDEX stage_history_contact ON stage_history (organization_id, contact_id, moved_at, id) WHERE contact_id IS NOT NULL;
CREATE INDEX stage_history_deal ON stage_history (organization_id, deal_id, moved_at, id) WHERE deal_id IS NOT NULL;
CREATE INDEX stage_history_stage ON stage_history (organization_id, to_stage_id, moved_at) WHERE contact_id IS NOT NULL;
CREATE INDEX stage_history_deal_stage ON stage_history (organization_id, to_stage_id, moved_at) WHERE deal_id IS NOT NULL;
ALTER TABLE stage_history ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON stage_history
    USING (organization_id = nullif(current_setting('app.organization_id', true), '')::uuid)
    WITH CHECK (organization_id = nullif(current_setting('app.organization_id', true), '')::uuid);

CREATE TABLE notes (
    id uuid NOT NULL,
    organization_id uuid NOT NULL,
    contact_id uuid,
    deal_id uuid,
    text text COLLATE "C" NOT NULL,
    created_by uuid,
    created_at bigint NOT NULL,
    updated_at bigint NOT NULL,
    version bigint NOT NULL,
    PRIMARY KEY (organization_id, id),
    FOREIGN KEY (organization_id, contact_id) REFERENCES contacts (organization_id, id),
    FOREIGN KEY (organization_id, deal_id) REFERENCES deals (organization_id, id)
);
CREATE INDEX notes_contact ON notes (organization_id, contact_id, created_at, id) WHERE contact_id IS NOT NULL;
CREATE INDEX notes_deal ON notes (organization_id, deal_id, created_at, id) WHERE deal_id IS NOT NULL;
ALTER TABLE notes ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON notes
    USING (organization_id = nullif(current_setting('app.organization_id', true), '')::uuid)
    WITH CHECK (organization_id = nullif(current_setting('app.organization_id', true), '')::uuid);

-- due_key: what has no date is due after everything that has one.
CREATE TABLE tasks (
    id uuid NOT NULL,
    organization_id uuid NOT NULL,
    contact_id uuid,
    deal_id uuid,
    title text COLLATE "C" NOT NULL,
    due_at bigint,
    remind_at bigint,
    assigned_to uuid,
    done boolean NOT NULL,
    done_at bigint,
    due_told boolean NOT NULL,
    reminded boolean NOT NULL,
    created_by uuid,
    created_at bigint NOT NULL,
    updated_at bigint NOT NULL,
    version bigint NOT NULL,
    due_key bigint NOT NULL GENERATED ALWAYS AS (COALESCE(due_at, 9223372036854775807)) STORED,
    PRIMARY KEY (organization_id, id),
    FOREIGN KEY (organization_id, contact_id) REFERENCES contacts (organization_id, id),
    FOREIGN KEY (organization_id, deal_id) REFERENCES deals (organization_id, id)
);
CREATE INDEX tasks_contact ON tasks (organization_id, contact_id, created_at, id) WHERE contact_id IS NOT NULL;
CREATE INDEX tasks_deal ON tasks (organization_id, deal_id, created_at, id) WHERE deal_id IS NOT NULL;
CREATE INDEX tasks_contact_due ON tasks (organization_id, contact_id, due_key, id) WHERE contact_id IS NOT NULL;
CREATE INDEX tasks_deal_due ON tasks (organization_id, deal_id, due_key, id) WHERE deal_id IS NOT NULL;
CREATE INDEX tasks_created ON tasks (organization_id, created_at, id);
CREATE INDEX tasks_due ON tasks (organization_id, done, due_key, id);
CREATE INDEX tasks_assigned_created ON tasks (organization_id, assigned_to, created_at, id) WHERE assigned_to IS NOT NULL;
CREATE INDEX tasks_assigned_due ON tasks (organization_id, assigned_to, done, due_key, id) WHERE assigned_to IS NOT NULL;
ALTER TABLE tasks ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON tasks
    USING (organization_id = nullif(current_setting('app.organization_id', true), '')::uuid)
    WITH CHECK (organization_id = nullif(current_setting('app.organization_id', true), '')::uuid);

CREATE TABLE accounts (
    id uuid NOT NULL,
    organization_id uuid NOT NULL,
    platform text COLLATE "C" NOT NULL,
    display_name text COLLATE "C" NOT NULL,
    handle text COLLATE "C" NOT NULL,
    owner_id uuid,
    visibility text COLLATE "C" NOT NULL,
    status text COLLATE "C" NOT NULL,
    status_since bigint NOT NULL,
    status_reason text COLLATE "C",
    last_sync_at bigint,
    flood_wait_until bigint,
    source text COLLATE "C" NOT NULL,
    lease_expires_at bigint,
    created_at bigint NOT NULL,
    updated_at bigint NOT NULL,
    deleted_at bigint,
    version bigint NOT NULL,
    PRIMARY KEY (organization_id, id)
);
CREATE UNIQUE INDEX accounts_handle ON accounts (organization_id, platform, handle);
CREATE INDEX accounts_created ON accounts (organization_id, created_at, id);
CREATE INDEX accounts_owner ON accounts (organization_id, owner_id, created_at, id) WHERE owner_id IS NOT NULL;
ALTER TABLE accounts ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON accounts
    USING (organization_id = nullif(current_setting('app.organization_id', true), '')::uuid)
    WITH CHECK (organization_id = nullif(current_setting('app.organization_id', true), '')::uuid);

CREATE TABLE account_secrets (
    account_id uuid NOT NULL,
    organization_id uuid NOT NULL,
    key_id uuid NOT NULL,
    sealed bytea NOT NULL,
    PRIMARY KEY (organization_id, account_id),
    FOREIGN KEY (organization_id, key_id) REFERENCES data_keys (organization_id, id)
);
CREATE INDEX account_secrets_key ON account_secrets (organization_id, key_id, account_id);
ALTER TABLE account_secrets ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON account_secrets
    USING (organization_id = nullif(current_setting('app.organization_id', true), '')::uuid)
    WITH CHECK (organization_id = nullif(current_setting('app.organization_id', true), '')::uuid);

CREATE TABLE account_cursors (
    account_id uuid NOT NULL,
    organization_id uuid NOT NULL,
    cursor text COLLATE "C" NOT NULL,
    PRIMARY KEY (organization_id, account_id)
);
ALTER TABLE account_cursors ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON account_cursors
    USING (organization_id = nullif(current_setting('app.organization_id', true), '')::uuid)
    WITH CHECK (organization_id = nullif(current_setting('app.organization_id', true), '')::uuid);

CREATE TABLE skipped_messages (
    account_id uuid NOT NULL,
    organization_id uuid NOT NULL,
    provider_id text COLLATE "C" NOT NULL,
    reason text COLLATE "C" NOT NULL,
    skipped_at bigint NOT NULL,
    PRIMARY KEY (organization_id, account_id, provider_id)
);
CREATE INDEX skipped_messages_at ON skipped_messages (organization_id, account_id, skipped_at);
ALTER TABLE skipped_messages ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON skipped_messages
    USING (organization_id = nullif(current_setting('app.organization_id', true), '')::uuid)
    WITH CHECK (organization_id = nullif(current_setting('app.organization_id', true), '')::uuid);

CREATE TABLE chats (
    id uuid NOT NULL,
    organization_id uuid NOT NULL,
    account_id uuid NOT NULL,
    platform text COLLATE "C" NOT NULL,
    chat_key text COLLATE "C" NOT NULL,
    title text COLLATE "C",
    contact_id uuid,
    last_message text COLLATE "C",
    last_message_at bigint NOT NULL,
    unread_count bigint NOT NULL,
    assigned_to uuid,
    state text COLLATE "C" NOT NULL,
    snoozed_until bigint,
    waiting_since bigint,
    sent_at bigint,
    sent_by uuid,
    labels text COLLATE "C" NOT NULL,
    created_at bigint NOT NULL,
    version bigint NOT NULL,
    PRIMARY KEY (organization_id, id),
    FOREIGN KEY (organization_id, account_id) REFERENCES accounts (organization_id, id)
);
CREATE UNIQUE INDEX chats_key ON chats (organization_id, account_id, chat_key);
CREATE INDEX chats_inbox ON chats (organization_id, last_message_at, id);
CREATE INDEX chats_account ON chats (organization_id, account_id, last_message_at, id);
CREATE INDEX chats_contact ON chats (organization_id, contact_id, last_message_at, id) WHERE contact_id IS NOT NULL;
CREATE INDEX chats_assigned ON chats (organization_id, assigned_to, last_message_at, id) WHERE assigned_to IS NOT NULL;
CREATE INDEX chats_state ON chats (organization_id, state, last_message_at, id);
CREATE INDEX chats_unread ON chats (organization_id, last_message_at, id) WHERE unread_count > 0;
ALTER TABLE chats ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON chats
    USING (organization_id = nullif(current_setting('app.organization_id', true), '')::uuid)
    WITH CHECK (organization_id = nullif(current_setting('app.organization_id', true), '')::uuid);

CREATE TABLE messages (
    id uuid NOT NULL,
    organization_id uuid NOT NULL,
    account_id uuid NOT NULL,
    chat_id uuid NOT NULL,
    platform text COLLATE "C" NOT NULL,
    direction text COLLATE "C" NOT NULL,
    sender text COLLATE "C" NOT NULL,
    content text COLLATE "C",
    contact_id uuid,
    timestamp bigint NOT NULL,
    read boolean NOT NULL,
    status text COLLATE "C" NOT NULL,
    error text COLLATE "C",
    send_at bigint,
    metadata text COLLATE "C" NOT NULL,
    provider_id text COLLATE "C",
    reference text COLLATE "C",
    sent_by uuid,
    created_at bigint NOT NULL,
    PRIMARY KEY (organization_id, id),
    FOREIGN KEY (organization_id, chat_id) REFERENCES chats (organization_id, id)
);
CREATE UNIQUE INDEX messages_provider ON messages (organization_id, account_id, provider_id) WHERE provider_id IS NOT NULL;
CREATE INDEX messages_sent ON messages (organization_id, account_id, timestamp) WHERE direction = 'outgoing';
CREATE INDEX messages_going ON messages (organization_id, chat_id, id) WHERE status = 'queued' OR status = 'sending';
CREATE INDEX messages_chat ON messages (organization_id, chat_id, timestamp, id);
CREATE INDEX messages_contact ON messages (organization_id, contact_id, timestamp, id) WHERE contact_id IS NOT NULL;
CREATE INDEX messages_reference ON messages (organization_id, account_id, reference) WHERE reference IS NOT NULL;
CREATE INDEX messages_unread ON messages (organization_id, chat_id, timestamp, id) WHERE direction = 'incoming' AND NOT read;
ALTER TABLE messages ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON messages
    USING (organization_id = nullif(current_setting('app.organization_id', true), '')::uuid)
    WITH CHECK (organization_id = nullif(current_setting('app.organization_id', true), '')::uuid);

-- Who sent a message, and whose message one answers: what teams do is read off it by period, without a look at the
-- messages. No key to those: what was done stays done when they go.
CREATE TABLE message_credits (
    organization_id uuid NOT NULL,
    at bigint NOT NULL,
    message_id uuid NOT NULL,
    user_id uuid NOT NULL,
    kind text COLLATE "C" NOT NULL,
    waited_us bigint,
    PRIMARY KEY (organization_id, at, message_id)
);
ALTER TABLE message_credits ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON message_credits
    USING (organization_id = nullif(current_setting('app.organization_id', true), '')::uuid)
    WITH CHECK (organization_id = nullif(current_setting('app.organization_id', true), '')::uuid);

CREATE TABLE media (
    id uuid NOT NULL,
    organization_id uuid NOT NULL,
    name text COLLATE "C" NOT NULL,
    media_type text COLLATE "C" NOT NULL,
    size bigint NOT NULL,
    account_id uuid,
    contact_id uuid,
    created_at bigint NOT NULL,
    used_at bigint NOT NULL,
    PRIMARY KEY (organization_id, id)
);
CREATE INDEX media_contact ON media (organization_id, contact_id, created_at, id) WHERE contact_id IS NOT NULL;
ALTER TABLE media ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON media
    USING (organization_id = nullif(current_setting('app.organization_id', true), '')::uuid)
    WITH CHECK (organization_id = nullif(current_setting('app.organization_id', true), '')::uuid);

CREATE TABLE rules (
    id uuid NOT NULL,
    organization_id uuid NOT NULL,
    slug text COLLATE "C" NOT NULL,
    name text COLLATE "C" NOT NULL,
    enabled boolean NOT NULL,
    engine text COLLATE "C" NOT NULL,
    position bigint NOT NULL,
    definition text COLLATE "C" NOT NULL,
    compiled text COLLATE "C" NOT NULL,
    plan text COLLATE "C" NOT NULL,
    failures bigint NOT NULL,
    paused_reason text COLLATE "C",
    updated_by uuid,
    created_at bigint NOT NULL,
    updated_at bigint NOT NULL,
    version bigint NOT NULL,
    PRIMARY KEY (organization_id, id)
);
CREATE UNIQUE INDEX rules_slug ON rules (organization_id, slug);
CREATE INDEX rules_failing ON rules (organization_id, id) WHERE failures > 0;
ALTER TABLE rules ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON rules
    USING (organization_id = nullif(current_setting('app.organization_id', true), '')::uuid)
    WITH CHECK (organization_id = nullif(current_setting('app.organization_id', true), '')::uuid);

CREATE TABLE runs (
    id uuid NOT NULL,
    organization_id uuid NOT NULL,
    rule_id uuid NOT NULL,
    rule_version bigint NOT NULL,
    event_id uuid NOT NULL,
    event_kind text COLLATE "C" NOT NULL,
    contact_id uuid,
    deal_id uuid,
    outcome text COLLATE "C" NOT NULL,
    facts text COLLATE "C" NOT NULL,
    actions text COLLATE "C" NOT NULL,
    duration_us bigint NOT NULL,
    error text COLLATE "C",
    stopped boolean NOT NULL,
    created_at bigint NOT NULL,
    sealed_by uuid,
    sealed bytea,
    PRIMARY KEY (organization_id, id)
);
-- A run happens once: unique by event and rule; led by the event, since its runs are looked up by it.
CREATE UNIQUE INDEX runs_event ON runs (organization_id, event_id, rule_id);
CREATE INDEX runs_created ON runs (organization_id, created_at, id);
CREATE INDEX runs_rule ON runs (organization_id, rule_id, created_at, id);
CREATE INDEX runs_contact ON runs (organization_id, contact_id, created_at, id) WHERE contact_id IS NOT NULL;
CREATE INDEX runs_deal ON runs (organization_id, deal_id, created_at, id) WHERE deal_id IS NOT NULL;
CREATE INDEX runs_outcome ON runs (organization_id, outcome, created_at, id);
ALTER TABLE runs ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON runs
    USING (organization_id = nullif(current_setting('app.organization_id', true), '')::uuid)
    WITH CHECK (organization_id = nullif(current_setting('app.organization_id', true), '')::uuid);

CREATE TABLE timers (
    id uuid NOT NULL,
    organization_id uuid NOT NULL,
    rule_id uuid NOT NULL,
    subject_kind text COLLATE "C" NOT NULL,
    subject_id uuid NOT NULL,
    stage_entry_id uuid NOT NULL,
    due_at bigint NOT NULL,
    ripe boolean NOT NULL,
    PRIMARY KEY (organization_id, id)
);
CREATE UNIQUE INDEX timers_entry ON timers (organization_id, rule_id, stage_entry_id);
CREATE INDEX timers_subject ON timers (organization_id, subject_id);
CREATE INDEX timers_rule ON timers (organization_id, rule_id, id);
ALTER TABLE timers ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON timers
    USING (organization_id = nullif(current_setting('app.organization_id', true), '')::uuid)
    WITH CHECK (organization_id = nullif(current_setting('app.organization_id', true), '')::uuid);

CREATE TABLE jobs (
    id uuid NOT NULL,
    organization_id uuid NOT NULL,
    kind text COLLATE "C" NOT NULL,
    payload text COLLATE "C" NOT NULL,
    key_id uuid,
    state text COLLATE "C" NOT NULL,
    progress bigint NOT NULL,
    attempts bigint NOT NULL,
    run_at bigint NOT NULL,
    dedup_key text COLLATE "C",
    last_error text COLLATE "C",
    created_by uuid,
    created_at bigint NOT NULL,
    updated_at bigint NOT NULL,
    PRIMARY KEY (organization_id, id),
    FOREIGN KEY (organization_id, key_id) REFERENCES data_keys (organization_id, id)
);
CREATE UNIQUE INDEX jobs_dedup ON jobs (organization_id, dedup_key) WHERE dedup_key IS NOT NULL;
CREATE INDEX jobs_key ON jobs (organization_id, key_id, id) WHERE key_id IS NOT NULL;
CREATE INDEX jobs_created ON jobs (organization_id, created_at, id);
CREATE INDEX jobs_state ON jobs (organization_id, state, created_at, id);
ALTER TABLE jobs ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON jobs
    USING (organization_id = nullif(current_setting('app.organization_id', true), '')::uuid)
    WITH CHECK (organization_id = nullif(current_setting('app.organization_id', true), '')::uuid);

-- list_key: unread before read, then newest first; what is unread counts as 2^62 microseconds later.
CREATE TABLE notifications (
    id uuid NOT NULL,
    organization_id uuid NOT NULL,
    user_id uuid NOT NULL,
    kind text COLLATE "C" NOT NULL,
    title text COLLATE "C" NOT NULL,
    body text COLLATE "C",
    contact_id uuid,
    deal_id uuid,
    task_id uuid,
    rule_id uuid,
    data text COLLATE "C" NOT NULL,
    read boolean NOT NULL,
    created_at bigint NOT NULL,
    list_key bigint NOT NULL GENERATED ALWAYS AS (CASE WHEN read THEN created_at ELSE created_at + 4611686018427387904 END) STORED,
    PRIMARY KEY (organization_id, id)
);
CREATE INDEX notifications_user ON notifications (organization_id, user_id, list_key, id);
CREATE INDEX notifications_contact ON notifications (organization_id, contact_id, created_at, id) WHERE contact_id IS NOT NULL;
CREATE INDEX notifications_deal ON notifications (organization_id, deal_id, created_at, id) WHERE deal_id IS NOT NULL;
ALTER TABLE notifications ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON notifications
    USING (organization_id = nullif(current_setting('app.organization_id', true), '')::uuid)
    WITH CHECK (organization_id = nullif(current_setting('app.organization_id', true), '')::uuid);

CREATE TABLE idempotency_keys (
    organization_id uuid NOT NULL,
    actor text COLLATE "C" NOT NULL,
    operation text COLLATE "C" NOT NULL,
    key text COLLATE "C" NOT NULL,
    body_hash bytea NOT NULL,
    answer text COLLATE "C" NOT NULL,
    created_at bigint NOT NULL,
    PRIMARY KEY (organization_id, actor, operation, key)
);
CREATE INDEX idempotency_keys_created ON idempotency_keys (organization_id, created_at);
ALTER TABLE idempotency_keys ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON idempotency_keys
    USING (organization_id = nullif(current_setting('app.organization_id', true), '')::uuid)
    WITH CHECK (organization_id = nullif(current_setting('app.organization_id', true), '')::uuid);

-- The log and the outbox: an event is pending while its number is above its subject's consumed_seq.
CREATE TABLE events (
    id uuid NOT NULL,
    organization_id uuid NOT NULL,
    kind text COLLATE "C" NOT NULL,
    subject_kind text COLLATE "C" NOT NULL,
    subject_id uuid NOT NULL,
    subject_seq bigint NOT NULL,
    occurred_at bigint NOT NULL,
    actor text COLLATE "C" NOT NULL,
    cause text COLLATE "C" NOT NULL,
    changes text COLLATE "C" NOT NULL,
    data text COLLATE "C" NOT NULL,
    sealed_by uuid,
    sealed bytea,
    PRIMARY KEY (organization_id, id)
);
CREATE UNIQUE INDEX events_subject ON events (organization_id, subject_id, subject_seq);
ALTER TABLE events ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON events
    USING (organization_id = nullif(current_setting('app.organization_id', true), '')::uuid)
    WITH CHECK (organization_id = nullif(current_setting('app.organization_id', true), '')::uuid);

CREATE TABLE rule_versions (
    id uuid NOT NULL,
    organization_id uuid NOT NULL,
    slug text COLLATE "C" NOT NULL,
    name text COLLATE "C" NOT NULL,
    enabled boolean NOT NULL,
    engine text COLLATE "C" NOT NULL,
    position bigint NOT NULL,
    definition text COLLATE "C" NOT NULL,
    compiled text COLLATE "C" NOT NULL,
    plan text COLLATE "C" NOT NULL,
    failures bigint NOT NULL,
    paused_reason text COLLATE "C",
    updated_by uuid,
    created_at bigint NOT NULL,
    updated_at bigint NOT NULL,
    version bigint NOT NULL,
    PRIMARY KEY (organization_id, id, version)
);
ALTER TABLE rule_versions ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON rule_versions
    USING (organization_id = nullif(current_setting('app.organization_id', true), '')::uuid)
    WITH CHECK (organization_id = nullif(current_setting('app.organization_id', true), '')::uuid);

-- The audit log. What is personal of an entry lies in its payload, which may be cleared; its digest and the seals stay.
CREATE TABLE audit_entries (
    id uuid NOT NULL,
    organization_id uuid NOT NULL,
    at bigint NOT NULL,
    actor text COLLATE "C" NOT NULL,
    actor_id uuid,
    action text COLLATE "C" NOT NULL,
    object_kind text COLLATE "C" NOT NULL,
    object_id uuid NOT NULL,
    payload text COLLATE "C",
    payload_digest bytea NOT NULL,
    seq bigint,
    seal bytea,
    sealed_by uuid,
    sealed bytea,
    PRIMARY KEY (organization_id, id)
);
CREATE INDEX audit_entries_actor ON audit_entries (organization_id, actor_id, at, id);
CREATE INDEX audit_entries_action ON audit_entries (organization_id, action, at, id);
CREATE INDEX audit_entries_kind ON audit_entries (organization_id, object_kind, at, id);
CREATE INDEX audit_entries_object ON audit_entries (organization_id, object_id, at, id);
CREATE INDEX audit_entries_at ON audit_entries (organization_id, at, id);
CREATE UNIQUE INDEX audit_entries_seq ON audit_entries (organization_id, seq) WHERE seq IS NOT NULL;
CREATE INDEX audit_entries_unsealed ON audit_entries (organization_id, at, id) WHERE seq IS NULL;
ALTER TABLE audit_entries ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON audit_entries
    USING (organization_id = nullif(current_setting('app.organization_id', true), '')::uuid)
    WITH CHECK (organization_id = nullif(current_setting('app.organization_id', true), '')::uuid);

-- How far each organisation's audit log is sealed.
CREATE TABLE audit_chains (
    organization_id uuid NOT NULL,
    seq bigint NOT NULL,
    seal bytea NOT NULL,
    sealed_at bigint NOT NULL,
    PRIMARY KEY (organization_id)
);
ALTER TABLE audit_chains ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON audit_chains
    USING (organization_id = nullif(current_setting('app.organization_id', true), '')::uuid)
    WITH CHECK (organization_id = nullif(current_setting('app.organization_id', true), '')::uuid);

-- How many events each subject has, and how many of them the rules have seen. The row is the subject's lock.
CREATE TABLE subjects (
    organization_id uuid NOT NULL,
    subject_id uuid NOT NULL,
    subject_kind text COLLATE "C" NOT NULL,
    seq bigint NOT NULL,
    consumed_seq bigint NOT NULL,
    PRIMARY KEY (organization_id, subject_id)
);
ALTER TABLE subjects ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON subjects
    USING (organization_id = nullif(current_setting('app.organization_id', true), '')::uuid)
    WITH CHECK (organization_id = nullif(current_setting('app.organization_id', true), '')::uuid);

-- What is due, for whom, and who has it in hand. No payload.
CREATE TABLE work (
    lane text COLLATE "C" NOT NULL,
    id uuid NOT NULL,
    organization_id uuid NOT NULL,
    due_at bigint NOT NULL,
    lease_owner uuid,
    lease_until bigint,
    token bigint NOT NULL,
    generation bigint NOT NULL,
    PRIMARY KEY (lane, id)
);
-- Each item is in one of the two: claiming looks at what is due and free, whatever else is pending.
CREATE INDEX work_due ON work (lane, due_at, id) WHERE lease_until IS NULL;
CREATE INDEX work_leased ON work (lease_until) WHERE lease_until IS NOT NULL;
