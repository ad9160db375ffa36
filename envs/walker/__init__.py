"""The two-legged walker's physics as kernels: the method of Box2D for one hull, two thighs and two shins on a ground.

Reference is Gymnasium's BipedalWalker (O. Klimov), whose bodies Box2D 2.3 moves (E. Catto, https://box2d.org, zlib
licence). What is here is written anew for just this machine, and does the same 32-bit operations in the same order, so
that it gives the same bits. The files read as the method does:

- `bodies`: shapes, masses, where each number of a lane stands; free motion, and the boxes around the moving bodies
- `joints`: hips and knees with motors and limits
- `contact`: which bodies are near which piece of ground, and where they touch
- `contact_solver`: the impulses that keep touching bodies apart and rub
- `impact`: when, within a step, a body first touches, and what then happens to it
- `simulation`: a step of all of it
- `lidar`, `terrain`: what the walker sees and walks on
- `envs/compiled/bipedal_walker.py`: start, observation, reward and end, as Gymnasium's class defines them

The method is that of E. Catto, "Iterative Dynamics with Temporal Coherence" (GDC 2005), "Modeling and Solving
Constraints" (GDC 2009) and "Continuous Collision" (GDC 2013).
"""
