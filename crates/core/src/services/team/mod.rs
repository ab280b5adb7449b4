//! Members, teams, and who looks after whom. Signing up, invitations and everything else that turns a credential into a
//! scope is next door, in `identity`.

mod assign;
mod hand_over;
mod members;
mod roles;
mod teams;

pub use self::{
    assign::{AssignContacts, Assigned},
    members::{MemberView, RemoveMember, SetRole},
    roles::{DeleteRole, NewRole, RolePatch, RoleView, UpdateRole},
    teams::{AddTeamMember, DeleteTeam, ListTeamMembers, NewTeam, RemoveTeamMember, TeamPatch, UpdateTeam},
};
pub(crate) use self::{
    assign::{Strategy, assign, candidates, choose},
    hand_over::step,
    members::{get as get_member, hand_on, handing_on, list as list_members, remove as remove_member, set_role},
    roles::{
        create as create_role, delete as delete_role, get as get_role, give as give_role, grantable,
        list as list_roles, named as named_role, update as update_role,
    },
    teams::{
        add_member, create as create_team, delete as delete_team, get as get_team, list as list_teams,
        list_members as list_team_members, listen, remove_member as remove_team_member, update as update_team,
    },
};
