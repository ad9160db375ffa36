"""The inner loop: training one network by a learning rule. Importing this package alone brings no torch."""

# Name -> class in learning.rules. Here, so that a script can list the rules without torch.
LEARNING_RULES = {
    "backprop": "Backprop",
    "feedback_alignment": "FeedbackAlignment",
    "hebbian": "Hebbian",
    "last_layer": "LastLayer",
    "direct_feedback_alignment": "DirectFeedbackAlignment",
}
