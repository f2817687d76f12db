//! `auth`: who one is, logins, tokens, members, workspaces, the audit trail.

use super::operation::{Meta, Method, Operation};
use super::wire::{DONE, Done, Nothing, Paging, limit};
use crate::access::{
    Added, AuditEntry, AuditFilter, Caller, Issued, Member, NewMember, Permission, Role, Token, TokenSpec, Workspace,
    WorkspaceChange,
};
use crate::clock::Millis;
use crate::engine::Engine;
use crate::error::{Code, Result};
use crate::id::{TokenId, UserId, WorkspaceId};
use crate::storage::page::Page;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Who the caller is.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Me {
    /// Name for people.
    pub name: String,
    /// Address, or empty.
    pub email: String,
    /// The user; none for whoever opened the data directory.
    pub user: Option<UserId>,
    /// The workspace that the token works in.
    pub workspace: WorkspaceId,
    /// Its short name.
    pub workspace_slug: String,
    /// Role there.
    pub role: Role,
    /// What the token may do.
    pub permissions: Vec<Permission>,
}

impl From<&Caller> for Me {
    fn from(caller: &Caller) -> Me {
        Me {
            name: caller.name.clone(),
            email: caller.email.clone(),
            user: caller.user,
            workspace: caller.workspace,
            workspace_slug: caller.workspace_slug.clone(),
            role: caller.role,
            permissions: caller.permissions(),
        }
    }
}

/// Tells who the caller is.
pub struct Whoami;

impl Operation for Whoami {
    const META: Meta = Meta::read("auth.whoami", Method::Get, "/auth/whoami", "Tell who you are and what you may do.");
    type Input = Nothing;
    type Output = Me;
    async fn run(_: &Engine, caller: &Caller, _: Nothing) -> Result<Me> {
        Ok(caller.into())
    }
}

/// Opens a session.
pub struct Login;

/// Address and password.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct LoginInput {
    /// Address.
    pub email: String,
    /// Password.
    pub password: String,
    /// Short name of the workspace; by default the one you have belonged to longest.
    #[serde(default)]
    pub workspace: Option<String>,
}

/// A session.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Session {
    /// The token, to be sent as `Authorization: Bearer`.
    pub token: String,
    /// When it ends, UTC milliseconds.
    pub expires_at: Option<Millis>,
    /// Who you are.
    pub me: Me,
}

impl Operation for Login {
    const META: Meta =
        Meta::write("auth.login", Method::Post, "/auth/login", "Open a session with address and password.")
            .errors(&[Code::Unauthenticated, Code::RateLimited])
            .example(r#"{"email": "ada@example.org", "password": "correct horse"}"#)
            .public();
    type Input = LoginInput;
    type Output = Session;
    async fn run(engine: &Engine, _: &Caller, input: LoginInput) -> Result<Session> {
        let login = engine.access().login(&input.email, &input.password, input.workspace.as_deref()).await?;
        Ok(Session {
            token: login.session.token,
            expires_at: login.session.info.expires_at,
            me: (&login.caller).into(),
        })
    }
}

/// Ends the session.
pub struct Logout;

impl Operation for Logout {
    const META: Meta = Meta::write("auth.logout", Method::Post, "/auth/logout", "End the token that you use.")
        .errors(&[Code::Precondition, Code::NotFound])
        .destructive();
    type Input = Nothing;
    type Output = Done;
    async fn run(engine: &Engine, caller: &Caller, _: Nothing) -> Result<Done> {
        let token = caller.token.ok_or_else(|| crate::error::Error::precondition("you use no token"))?;
        engine.access().revoke_token(caller, token).await?;
        Ok(DONE)
    }
}

/// Changes the caller's password.
pub struct SetPassword;

/// A new password.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SetPasswordInput {
    /// The present one, where there is one.
    #[serde(default)]
    pub current: Option<String>,
    /// The new one.
    pub new: String,
}

impl Operation for SetPassword {
    const META: Meta = Meta::write("auth.set_password", Method::Put, "/auth/password", "Set your password.")
        .errors(&[Code::Unauthenticated, Code::Precondition])
        .example(r#"{"new": "correct horse battery"}"#);
    type Input = SetPasswordInput;
    type Output = Done;
    async fn run(engine: &Engine, caller: &Caller, input: SetPasswordInput) -> Result<Done> {
        engine.access().set_password(caller, input.current.as_deref(), &input.new).await?;
        Ok(DONE)
    }
}

/// Lists tokens.
pub struct ListTokens;

/// Whose tokens.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ListTokensInput {
    /// Another user; needs `members.write`.
    #[serde(default)]
    pub user: Option<UserId>,
    /// `next` of the page before.
    #[serde(default)]
    pub cursor: Option<String>,
    /// Rows of a page, 1 to 200.
    #[serde(default = "limit")]
    #[schemars(range(min = 1, max = 200))]
    pub limit: u64,
}

impl Operation for ListTokens {
    const META: Meta = Meta::read("auth.tokens.list", Method::Get, "/auth/tokens", "List your tokens.")
        .needs(Permission::TokensRead)
        .errors(&[Code::Precondition])
        .paged();
    type Input = ListTokensInput;
    type Output = Page<Token>;
    async fn run(engine: &Engine, caller: &Caller, input: ListTokensInput) -> Result<Page<Token>> {
        engine.access().list_tokens(caller, input.user, input.cursor.as_deref(), input.limit).await
    }
}

/// Makes a token.
pub struct CreateToken;

/// A wish for a token.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CreateTokenInput {
    /// Name for people.
    pub name: String,
    /// Permissions (`bots.read`, `bots.*`); absent: as many as you have.
    #[serde(default)]
    pub scopes: Option<Vec<String>>,
    /// When it ends, UTC milliseconds; absent: never.
    #[serde(default)]
    pub expires_at: Option<Millis>,
}

impl Operation for CreateToken {
    const META: Meta =
        Meta::write("auth.tokens.create", Method::Post, "/auth/tokens", "Make a token; its text is shown once.")
            .needs(Permission::TokensWrite)
            .errors(&[Code::Precondition])
            .status(201)
            .positional(&["name"])
            .example(r#"{"name": "ci", "scopes": ["bots.read", "executions.*"]}"#);
    type Input = CreateTokenInput;
    type Output = Issued;
    async fn run(engine: &Engine, caller: &Caller, input: CreateTokenInput) -> Result<Issued> {
        let spec = TokenSpec { name: input.name, scopes: input.scopes, expires_at: input.expires_at };
        engine.access().create_token(caller, spec).await
    }
}

/// Ends a token.
pub struct RevokeToken;

/// A token.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RevokeTokenInput {
    /// Its id.
    pub id: TokenId,
}

impl Operation for RevokeToken {
    const META: Meta = Meta::write("auth.tokens.revoke", Method::Delete, "/auth/tokens/{id}", "End a token at once.")
        .needs(Permission::TokensWrite)
        .errors(&[Code::NotFound, Code::Precondition]);
    type Input = RevokeTokenInput;
    type Output = Done;
    async fn run(engine: &Engine, caller: &Caller, input: RevokeTokenInput) -> Result<Done> {
        engine.access().revoke_token(caller, input.id).await?;
        Ok(DONE)
    }
}

/// Lists members.
pub struct ListMembers;

impl Operation for ListMembers {
    const META: Meta = Meta::read("auth.members.list", Method::Get, "/auth/members", "List the workspace's members.")
        .needs(Permission::MembersRead)
        .paged();
    type Input = Paging;
    type Output = Page<Member>;
    async fn run(engine: &Engine, caller: &Caller, input: Paging) -> Result<Page<Member>> {
        engine.access().list_members(caller, input.cursor.as_deref(), input.limit).await
    }
}

/// Adds a member.
pub struct AddMember;

/// Somebody to add.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AddMemberInput {
    /// Address; a user who has it already is added as they are.
    pub email: String,
    /// Role, at most your own.
    pub role: Role,
    /// Name for people; by default the part before the @.
    #[serde(default)]
    pub name: Option<String>,
}

impl Operation for AddMember {
    const META: Meta = Meta::write("auth.members.add", Method::Post, "/auth/members", "Add a member to the workspace.")
        .needs(Permission::MembersWrite)
        .errors(&[Code::Conflict])
        .status(201)
        .positional(&["email", "role"])
        .example(r#"{"email": "grace@example.org", "role": "editor"}"#);
    type Input = AddMemberInput;
    type Output = Added;
    async fn run(engine: &Engine, caller: &Caller, input: AddMemberInput) -> Result<Added> {
        engine.access().add_member(caller, NewMember { email: input.email, name: input.name, role: input.role }).await
    }
}

/// Changes a role.
pub struct SetRole;

/// A member and a role.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SetRoleInput {
    /// The member's user id.
    pub user: UserId,
    /// The role, at most your own.
    pub role: Role,
}

impl Operation for SetRole {
    const META: Meta =
        Meta::write("auth.members.set_role", Method::Put, "/auth/members/{user}", "Change a member's role.")
            .needs(Permission::MembersWrite)
            .errors(&[Code::NotFound, Code::Precondition, Code::Conflict])
            .positional(&["user", "role"])
            .example(r#"{"role": "operator"}"#);
    type Input = SetRoleInput;
    type Output = Member;
    async fn run(engine: &Engine, caller: &Caller, input: SetRoleInput) -> Result<Member> {
        engine.access().set_role(caller, input.user, input.role).await
    }
}

/// Removes a member.
pub struct RemoveMember;

/// A member.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RemoveMemberInput {
    /// The member's user id.
    pub user: UserId,
}

impl Operation for RemoveMember {
    const META: Meta = Meta::write("auth.members.remove", Method::Delete, "/auth/members/{user}", "Remove a member.")
        .describe("Their tokens for this workspace end at once. The last owner cannot be removed.")
        .needs(Permission::MembersWrite)
        .errors(&[Code::NotFound, Code::Precondition, Code::Conflict]);
    type Input = RemoveMemberInput;
    type Output = Done;
    async fn run(engine: &Engine, caller: &Caller, input: RemoveMemberInput) -> Result<Done> {
        engine.access().remove_member(caller, input.user).await?;
        Ok(DONE)
    }
}

/// Shows the workspace.
pub struct GetWorkspace;

impl Operation for GetWorkspace {
    const META: Meta =
        Meta::read("auth.workspaces.get", Method::Get, "/auth/workspace", "Show the workspace and its settings.")
            .needs(Permission::WorkspaceRead);
    type Input = Nothing;
    type Output = Workspace;
    async fn run(engine: &Engine, caller: &Caller, _: Nothing) -> Result<Workspace> {
        engine.access().workspace(caller).await
    }
}

/// Changes the workspace.
pub struct UpdateWorkspace;

/// Settings; what is absent stays.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct UpdateWorkspaceInput {
    /// Name for people.
    #[serde(default)]
    pub name: Option<String>,
    /// IANA zone of schedules that name none.
    #[serde(default)]
    pub timezone: Option<String>,
    /// Environment that deployments go to by default.
    #[serde(default)]
    pub environment: Option<String>,
}

impl Operation for UpdateWorkspace {
    const META: Meta =
        Meta::write("auth.workspaces.update", Method::Patch, "/auth/workspace", "Change the workspace's settings.")
            .needs(Permission::WorkspaceAdmin)
            .idempotent()
            .example(r#"{"timezone": "Europe/Berlin"}"#);
    type Input = UpdateWorkspaceInput;
    type Output = Workspace;
    async fn run(engine: &Engine, caller: &Caller, input: UpdateWorkspaceInput) -> Result<Workspace> {
        let change = WorkspaceChange { name: input.name, timezone: input.timezone, environment: input.environment };
        engine.access().change_workspace(caller, change).await
    }
}

/// Lists workspaces.
pub struct ListWorkspaces;

/// A workspace and one's role there.
#[derive(Debug, Serialize, JsonSchema)]
pub struct MyWorkspace {
    /// Short name in URLs.
    pub slug: String,
    /// Name for people.
    pub name: String,
    /// Your role there.
    pub role: Role,
    /// Identity.
    pub id: WorkspaceId,
}

impl Operation for ListWorkspaces {
    const META: Meta =
        Meta::read("auth.workspaces.list", Method::Get, "/auth/workspaces", "List the workspaces that you belong to.")
            .paged();
    type Input = Paging;
    type Output = Page<MyWorkspace>;
    async fn run(engine: &Engine, caller: &Caller, input: Paging) -> Result<Page<MyWorkspace>> {
        let page = engine.access().list_workspaces(caller, input.cursor.as_deref(), input.limit).await?;
        Ok(page.map(|(w, role)| MyWorkspace { slug: w.slug, name: w.name, role, id: w.id }))
    }
}

/// Makes a workspace.
pub struct CreateWorkspace;

/// A wish for a workspace.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CreateWorkspaceInput {
    /// Name for people.
    pub name: String,
    /// Short name in URLs; by default made of the name.
    #[serde(default)]
    pub slug: Option<String>,
}

impl Operation for CreateWorkspace {
    const META: Meta =
        Meta::write("auth.workspaces.create", Method::Post, "/auth/workspaces", "Make a workspace; you own it.")
            .needs(Permission::WorkspacesCreate)
            .errors(&[Code::Conflict, Code::Precondition])
            .status(201)
            .positional(&["name"])
            .example(r#"{"name": "Warehouse"}"#);
    type Input = CreateWorkspaceInput;
    type Output = Workspace;
    async fn run(engine: &Engine, caller: &Caller, input: CreateWorkspaceInput) -> Result<Workspace> {
        engine.access().create_workspace(caller, &input.name, input.slug.as_deref()).await
    }
}

/// Lists the audit trail.
pub struct ListAudit;

/// Which rows.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ListAuditInput {
    /// What: `bots.create`, or every operation of a noun (`bots.*`).
    #[serde(default)]
    pub operation: Option<String>,
    /// To what.
    #[serde(default)]
    pub subject: Option<String>,
    /// Who.
    #[serde(default)]
    pub user: Option<UserId>,
    /// This and later, UTC milliseconds.
    #[serde(default)]
    pub since: Option<Millis>,
    /// `next` of the page before.
    #[serde(default)]
    pub cursor: Option<String>,
    /// Rows of a page, 1 to 200.
    #[serde(default = "limit")]
    #[schemars(range(min = 1, max = 200))]
    pub limit: u64,
}

impl Operation for ListAudit {
    const META: Meta = Meta::read("auth.audit", Method::Get, "/auth/audit", "Read who changed what and when.")
        .needs(Permission::AuditRead)
        .paged();
    type Input = ListAuditInput;
    type Output = Page<AuditEntry>;
    async fn run(engine: &Engine, caller: &Caller, input: ListAuditInput) -> Result<Page<AuditEntry>> {
        let filter =
            AuditFilter { operation: input.operation, subject: input.subject, user: input.user, since: input.since };
        engine.access().audit(caller, &filter, input.cursor.as_deref(), input.limit).await
    }
}
